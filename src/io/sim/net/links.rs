//! Latency and cuts, by ordered pair of hosts.

use super::super::record::EventKind;
use super::super::state::{Draws, State};
use super::flow::FIRST_TIMEOUT_NS;

/// The way from one host to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// Nanoseconds that every chunk takes.
    pub base_ns: u64,
    /// Up to this many nanoseconds more, drawn for each chunk.
    pub jitter_ns: u64,
    /// Nothing passes.
    pub cut: bool,
    /// What arrives waits for the end of the clog.
    pub clogged: bool,
    /// It is slow, lossy, or holds requests back (`trouble`).
    pub troubled: bool,
    /// How many orders cut it.
    pub cuts: u8,
    /// How many of its two ends are frozen.
    pub frozen_ends: u8,
}

impl Link {
    /// How long the next chunk takes, in nanoseconds.
    #[inline]
    pub fn latency(&self, random: &mut Draws) -> u64 {
        match self.jitter_ns {
            0 => self.base_ns,
            jitter => self.base_ns + random.between(0, jitter),
        }
    }
}

impl State {
    /// Gives links to the hosts that have none yet: their bases are drawn once, in the lower half of the
    /// configured range, and the jitter fills the rest.
    pub fn add_links(&mut self) {
        let hosts = self.hosts.len();
        for from in 0..hosts {
            if self.net.links.len() <= from {
                self.net.links.push(Vec::new());
            }
            for to in self.net.links[from].len()..hosts {
                let link = self.draw_link(from, to);
                self.net.links[from].push(link);
            }
        }
    }
    fn draw_link(&mut self, from: usize, to: usize) -> Link {
        let config = &self.config.net;
        let (low, high) = if from == to {
            (config.loopback_us, config.loopback_us)
        } else if self.hosts[from].region == self.hosts[to].region {
            config.same_region_us
        } else {
            config.cross_region_us
        };
        let base_us = self.net.random.between(low, low + (high - low) / 2);
        let jitter_ns = (high - low).div_ceil(2) * 1_000;
        Link {
            base_ns: base_us * 1_000,
            jitter_ns,
            cut: false,
            clogged: false,
            troubled: false,
            cuts: 0,
            frozen_ends: 0,
        }
    }
    /// How long something small takes, in nanoseconds.
    #[inline]
    pub(super) fn latency(&mut self, from: u32, to: u32) -> u64 {
        let link = self.net.links[from as usize][to as usize];
        if link.troubled {
            return self.troubled_transit(from, to, 0, FIRST_TIMEOUT_NS);
        }
        link.latency(&mut self.net.random)
    }
    #[inline]
    pub(super) fn is_cut(&self, from: u32, to: u32) -> bool {
        self.net.links[from as usize][to as usize].cut
    }
    /// True if what `from` sends can reach the kernel of `to`.
    #[inline]
    pub(super) fn reaches(&self, from: u32, to: u32) -> bool {
        !self.is_cut(from, to) && self.host(to).powered
    }
    /// False if the kernel of `host` is off or frozen: nothing of what is under way to it gets through.
    pub(super) fn hears(&self, host: u32) -> bool {
        self.host(host).powered && !self.host(host).frozen
    }
    pub fn set_latency(&mut self, from: u32, to: u32, base_us: u64, jitter_us: u64) {
        let link = &mut self.net.links[from as usize][to as usize];
        (link.base_ns, link.jitter_ns) = (base_us * 1_000, jitter_us * 1_000);
        self.happens(EventKind::Link, from, u64::from(to) << 32 | 2);
    }
    /// Cuts the way from one host to another once more, or takes back every order to cut it. A host always reaches
    /// itself.
    pub fn set_cut(&mut self, from: u32, to: u32, cut: bool) {
        self.change_cuts(from, to, |link| link.cuts = if cut { link.cuts.saturating_add(1) } else { 0 });
    }
    /// Takes one order to cut a way back.
    pub fn uncut(&mut self, from: u32, to: u32) {
        self.change_cuts(from, to, |link| link.cuts = link.cuts.saturating_sub(1));
    }
    pub(super) fn change_cuts(&mut self, from: u32, to: u32, change: impl FnOnce(&mut Link)) {
        let link = &mut self.net.links[from as usize][to as usize];
        if from == to {
            return;
        }
        change(link);
        let cut = link.cuts > 0 || link.frozen_ends > 0;
        if std::mem::replace(&mut link.cut, cut) == cut {
            return;
        }
        self.happens(EventKind::Link, from, u64::from(to) << 32 | u64::from(cut));
        if cut {
            self.acks_stop(from, to);
        }
    }
}
