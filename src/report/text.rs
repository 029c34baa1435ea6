//! A verdict as a person reads it, at most 100 columns wide.

use std::fmt::Write;

use super::group_text;
use super::verdict::{Event, MoveRecord, OutageRecord, Outcome, Verdict};

/// The widest line.
pub const COLUMNS: usize = 100;
/// How many events are shown unless all are asked for.
const EVENTS: usize = 16;
/// Where an event's words begin.
const EVENT_INDENT: usize = 22;

/// How to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Use the terminal's colours.
    pub colour: bool,
    /// Show all events and the expectations that were met.
    pub verbose: bool,
    /// Where the run's files are, if it left any.
    pub files: Option<String>,
}

/// The verdict as text that ends with a newline.
#[must_use]
pub fn render(verdict: &Verdict, style: &Style) -> String {
    let mut out = Page { text: String::new(), colour: style.colour };
    headline(&mut out, verdict);
    events(&mut out, verdict, style.verbose);
    partitions(&mut out, verdict);
    group_text::groups(&mut out, verdict);
    permitted(&mut out, verdict);
    moves(&mut out, verdict);
    spreads(&mut out, verdict);
    failures(&mut out, verdict, style.verbose);
    foot(&mut out, verdict, style);
    out.text
}

/// A number of seconds: two digits after the point below one second, one above.
#[must_use]
pub fn seconds(ms: u64) -> String {
    match ms {
        0 => "0 s".into(),
        1..1_000 => format!("{:.2} s", ms as f64 / 1_000.0),
        _ => format!("{:.1} s", ms as f64 / 1_000.0),
    }
}

/// A count with commas between thousands.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The word for an outcome.
#[must_use]
pub fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "PASS",
        Outcome::Violated => "VIOLATED",
        Outcome::NotLive => "NOT LIVE",
        Outcome::Panicked => "PANICKED",
        Outcome::Nondeterministic => "NONDETERMINISTIC",
    }
}

pub(super) struct Page {
    pub(super) text: String,
    colour: bool,
}

impl Page {
    /// Writes `text` behind `lead`; what does not fit goes on the next lines, as far in as `lead` is long.
    pub(super) fn hang(&mut self, lead: &str, text: &str) {
        let indent = lead.chars().count();
        let room = COLUMNS - indent;
        let mut lead = lead.to_owned();
        for paragraph in text.lines() {
            for line in wrap(paragraph, room) {
                let _ = writeln!(self.text, "{}", format!("{lead}{line}").trim_end());
                lead = " ".repeat(indent);
            }
        }
    }

    fn paint(&self, code: u8, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Breaks a line between words, and inside a word only if the word alone is too long.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut rest = text;
    while !rest.is_empty() {
        let gap = rest.len() - rest.trim_start_matches(' ').len();
        let word = rest[gap..].find(' ').map_or(rest.len(), |end| gap + end);
        let (piece, after) = rest.split_at(word);
        rest = after;
        let last = lines.last_mut().expect("there is always a line");
        if last.chars().count() + piece.chars().count() <= room {
            last.push_str(piece);
            continue;
        }
        if !last.is_empty() {
            lines.push(String::new());
        }
        for c in piece.trim_start_matches(' ').chars() {
            if lines.last().is_some_and(|line| line.chars().count() == room) {
                lines.push(String::new());
            }
            lines.last_mut().expect("there is always a line").push(c);
        }
    }
    lines
}

fn headline(out: &mut Page, v: &Verdict) {
    let name = format!("{}  seed {}  ", v.scenario, v.seed);
    let wall = v.wall_ms.max(1);
    let speed = v.simulated_ms / wall;
    let span = match v.simulated_ms % 1_000 {
        0 => format!("{} s", v.simulated_ms / 1_000),
        _ => seconds(v.simulated_ms),
    };
    let pace = format!("{span} simulated in {} ({}x)", seconds(v.wall_ms), count(speed));
    let mut counts = vec![format!("{} acked", count(v.acked))];
    for (n, what) in [(v.unknown, "unknown"), (v.failed, "failed")] {
        if n > 0 {
            counts.push(format!("{} {what}", count(n)));
        }
    }
    counts.push(format!("{} lost", count(v.lost)));
    if v.permitted_loss > 0 {
        counts.push(format!("{} permitted loss", count(v.permitted_loss)));
    }
    counts.push(format!("{} duplicated", count(v.duplicated)));
    let (word, counts) = (word(v.outcome), counts.join(", "));
    let code = if v.outcome == Outcome::Pass { 32 } else { 31 };
    let painted = out.paint(code, word);
    let one_line = name.chars().count() + word.len() + 3 + pace.len() + 3 + counts.len() <= COLUMNS;
    if one_line {
        let _ = writeln!(out.text, "{name}{painted}   {pace}   {counts}");
    } else {
        let _ = writeln!(out.text, "{name}{painted}");
        out.hang("  ", &format!("{pace}   {counts}"));
    }
}

fn events(out: &mut Page, v: &Verdict, verbose: bool) {
    let all = &v.events[..];
    let hidden = if verbose { 0 } else { all.len().saturating_sub(EVENTS) };
    // A failure is told by what led to it, a success by how it began and ended.
    let before = if v.outcome == Outcome::Pass && hidden > 0 { EVENTS / 2 } else { 0 };
    for event in &all[..before] {
        tell(out, event);
    }
    if hidden > 0 {
        let _ = writeln!(out.text, "  ... {} more (--verbose shows all)", count(hidden as u64));
    }
    for event in &all[before + hidden..] {
        tell(out, event);
    }
}

fn tell(out: &mut Page, event: &Event) {
    let at = format!("{}.{:03} s", event.at_ms / 1_000, event.at_ms % 1_000);
    let lead = format!("{at:>11}  {:<7}", event.kind);
    let lead = format!("{lead:<EVENT_INDENT$}");
    out.hang(&format!("{lead}{}", if lead.len() > EVENT_INDENT { " " } else { "" }), &event.text);
}

fn partitions(out: &mut Page, v: &Verdict) {
    let width = v.availability.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, percent) in &v.availability {
        let outages: Vec<&OutageRecord> = v.outages.iter().filter(|o| o.partition == *name).collect();
        let mut lead = format!("  {name:<width$}  {}   ", share(*percent));
        if outages.is_empty() {
            let _ = writeln!(out.text, "{}", lead.trim_end());
        }
        for outage in outages {
            out.hang(&lead, &phases(outage));
            lead = " ".repeat(lead.chars().count());
        }
    }
}

/// What is gone by leave of the contract, and by which rule.
fn permitted(out: &mut Page, v: &Verdict) {
    for loss in &v.permitted_losses {
        let offsets = match (loss.from_offset, loss.to_offset) {
            (Some(from), Some(to)) if from == to => format!(" (offset {from})"),
            (Some(from), Some(to)) => format!(" (offsets {from} to {to})"),
            _ => String::new(),
        };
        let (records, partition) = (count(loss.records), &loss.partition);
        out.hang("  permitted  ", &format!("{records} lost of {partition}{offsets}, {}: {}", loss.reason, loss.detail));
    }
}

/// Which partitions were moved, and what that took.
fn moves(out: &mut Page, v: &Verdict) {
    for moved in &v.moves {
        out.hang("  moved      ", &one_move(moved));
    }
}

fn one_move(moved: &MoveRecord) -> String {
    let to: Vec<_> = moved.copied.keys().map(ToString::to_string).collect();
    let brokers = if to.len() == 1 { "broker" } else { "brokers" };
    let (what, bytes) = (format!("{} to {brokers} {}", moved.partition, to.join(", ")), count(moved.bytes()));
    match (moved.to_ms, moved.rate()) {
        (Some(to), Some(rate)) => {
            let took = seconds(to - moved.from_ms);
            format!("{what}: {bytes} bytes copied in {took} ({} bytes/s)", count(rate))
        }
        (Some(to), None) => format!("{what}: called off after {}, {bytes} bytes copied", seconds(to - moved.from_ms)),
        (None, _) => format!("{what}: not over, {bytes} bytes copied"),
    }
}

/// Where the records of producers went that choose partitions themselves.
fn spreads(out: &mut Page, v: &Verdict) {
    for spread in &v.spreads {
        let all: u64 = spread.partitions.values().sum();
        let share = |records: &u64| *records as f64 * 100.0 / all.max(1) as f64;
        let shares: Vec<_> = spread.partitions.iter().map(|(p, n)| format!("{p}: {:.1} %", share(n))).collect();
        let keys = match spread.keys {
            0 => String::new(),
            n => format!("; {} keys, {} of them in more than one partition", count(n), count(spread.split_keys)),
        };
        out.hang("  spread     ", &format!("of {} {}{keys}", spread.client, shares.join(", ")));
    }
}

/// A percentage that says 100 only if it is.
fn share(percent: f64) -> String {
    if percent >= 100.0 {
        return "100.00 %".into();
    }
    format!("{:>6.2} %", (percent * 100.0).floor() / 100.0)
}

fn phases(outage: &OutageRecord) -> String {
    let mut parts = Vec::new();
    for (name, length) in
        [("undetected", outage.detect_ms), ("election", outage.elect_ms), ("clients", outage.recover_ms)]
    {
        if let Some(ms) = length {
            parts.push(format!("{name} {}", seconds(ms)));
        }
    }
    if let Some(setting) = &outage.waited_for {
        parts.push(format!("({setting})"));
    }
    let parts = parts.join(", ").replace(", (", " (");
    let parts = if parts.is_empty() { "the cluster never noticed".into() } else { parts };
    match outage.to_ms {
        Some(to) => format!("outage {}: {parts}", seconds(to - outage.from_ms)),
        None => format!("outage from {} to the end: {parts}", seconds(outage.from_ms)),
    }
}

fn failures(out: &mut Page, v: &Verdict, verbose: bool) {
    if !v.reason.is_empty() {
        out.hang("  why  ", &v.reason);
    }
    for violation in &v.violations {
        let jepsen = violation.jepsen.as_ref().map(|name| format!(" (Jepsen: {name})")).unwrap_or_default();
        let head = format!("{}{jepsen} at {}", violation.property, seconds(violation.at_ms));
        let painted = out.paint(31, "VIOLATION");
        let _ = writeln!(out.text, "  {painted}  {head}");
        out.hang("    ", &violation.evidence);
    }
    for expectation in &v.expectations {
        if !expectation.met {
            let painted = out.paint(31, "NOT MET");
            let _ = write!(out.text, "  {painted}");
            out.hang("  ", &format!("{}; measured: {}", expectation.text, expectation.measured));
        } else if verbose {
            out.hang("  met      ", &format!("{}; measured: {}", expectation.text, expectation.measured));
        }
    }
    if !verbose && !v.expectations.is_empty() {
        let met = v.expectations.iter().filter(|e| e.met).count();
        let _ = writeln!(out.text, "  {met} of {} expectations met", v.expectations.len());
    }
}

fn foot(out: &mut Page, v: &Verdict, style: &Style) {
    let digest: String = v.digest.chars().take(16).collect();
    let files = style.files.as_ref().map(|dir| format!("   report {dir}")).unwrap_or_default();
    if !digest.is_empty() || !files.is_empty() {
        out.hang("  ", &format!("digest {digest}{files}"));
    }
    if v.outcome != Outcome::Pass && !v.reproduce.is_empty() {
        // Never broken: it is there to be copied.
        let _ = writeln!(out.text, "  reproduce: {}", v.reproduce);
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
