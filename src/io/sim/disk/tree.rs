//! Directories: names for files and directories, and the journal of changes that are not durable yet.
//!
//! A change is atomic: after a power cut a rename has happened or it has not. Changes of different names survive
//! independently of one another; a change of a name that builds on a lost one is lost with it.

use super::super::state::Draws;
use super::Inode;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::Arc;

const ROOT: u64 = 0;

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(Arc<Inode>),
    Dir(u64),
}

#[derive(Debug, Default)]
struct Dir {
    live: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
}

/// A name in a directory.
type Entry = (u64, String);

/// One atomic change: what some names stand for from now on.
#[derive(Debug)]
struct Change {
    seq: u64,
    entries: Vec<(Entry, Option<Node>)>,
}

impl Change {
    fn touches(&self, names: &BTreeSet<Entry>) -> bool {
        self.entries.iter().any(|(entry, _)| names.contains(entry))
    }
    fn names(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries.iter().map(|(entry, _)| entry.clone())
    }
}

#[derive(Debug)]
pub(super) struct Tree {
    dirs: BTreeMap<u64, Dir>,
    last_dir: u64,
    journal: Vec<Change>,
    last_change: u64,
}

/// What programs do.
impl Tree {
    pub fn new() -> Self {
        Self { dirs: BTreeMap::from([(ROOT, Dir::default())]), last_dir: ROOT, journal: Vec::new(), last_change: 0 }
    }
    fn dir(&mut self, dir: u64) -> &mut Dir {
        self.dirs.get_mut(&dir).expect("a directory exists as long as a name stands for it")
    }
    fn look_up(&self, path: &str) -> io::Result<Node> {
        parts(path).try_fold(Node::Dir(ROOT), |node, name| match node {
            Node::File(_) => Err(ErrorKind::NotADirectory.into()),
            Node::Dir(dir) => self.dirs[&dir].live.get(name).cloned().ok_or_else(|| ErrorKind::NotFound.into()),
        })
    }
    /// The directory called `path`.
    pub fn find_dir(&self, path: &str) -> io::Result<u64> {
        match self.look_up(path)? {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }
    /// The directory that `path` is in, and its last name.
    fn entry(&self, path: &str) -> io::Result<Entry> {
        let (parent, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", path));
        if name.is_empty() {
            return Err(ErrorKind::InvalidInput.into());
        }
        Ok((self.find_dir(parent)?, name.to_owned()))
    }
    pub fn exists(&self, path: &str) -> bool {
        self.look_up(path).is_ok()
    }
    pub fn list(&self, path: &str) -> io::Result<Vec<String>> {
        Ok(self.dirs[&self.find_dir(path)?].live.keys().cloned().collect())
    }
    pub fn create_dir_all(&mut self, path: &str) -> io::Result<()> {
        let mut dir = ROOT;
        for name in parts(path) {
            dir = match self.dirs[&dir].live.get(name) {
                Some(Node::Dir(below)) => *below,
                Some(Node::File(_)) => return Err(ErrorKind::AlreadyExists.into()),
                None => {
                    self.last_dir += 1;
                    let below = self.last_dir;
                    self.dirs.insert(below, Dir::default());
                    self.change(vec![((dir, name.to_owned()), Some(Node::Dir(below)))]);
                    below
                }
            };
        }
        Ok(())
    }
    pub fn open(&mut self, path: &str, create: impl FnOnce() -> Option<Inode>) -> io::Result<Arc<Inode>> {
        match self.look_up(path) {
            Ok(Node::File(inode)) => Ok(inode),
            Ok(Node::Dir(_)) => Err(ErrorKind::IsADirectory.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let entry = self.entry(path)?;
                let inode = Arc::new(create().ok_or(error)?);
                self.change(vec![(entry, Some(Node::File(inode.clone())))]);
                Ok(inode)
            }
            Err(error) => Err(error),
        }
    }
    pub fn remove(&mut self, path: &str) -> io::Result<()> {
        match self.look_up(path)? {
            Node::Dir(_) => Err(ErrorKind::IsADirectory.into()),
            Node::File(_) => {
                let entry = self.entry(path)?;
                self.change(vec![(entry, None)]);
                Ok(())
            }
        }
    }
    /// Removes a directory from the leaves up: a power cut may leave a part of it.
    pub fn remove_dir_all(&mut self, path: &str) -> io::Result<()> {
        let (dir, entry) = (self.find_dir(path)?, self.entry(path)?);
        self.empty(dir);
        self.change(vec![(entry, None)]);
        Ok(())
    }
    fn empty(&mut self, dir: u64) {
        let entries: Vec<_> = self.dir(dir).live.clone().into_iter().collect();
        for (name, node) in entries {
            if let Node::Dir(below) = node {
                self.empty(below);
            }
            self.change(vec![((dir, name), None)]);
        }
    }
    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let node = self.look_up(from)?;
        let (source, target) = (self.entry(from)?, self.entry(to)?);
        match (&node, self.look_up(to)) {
            (Node::File(_), Ok(Node::Dir(_))) => return Err(ErrorKind::IsADirectory.into()),
            (Node::Dir(_), Ok(Node::File(_))) => return Err(ErrorKind::NotADirectory.into()),
            (Node::Dir(_), Ok(Node::Dir(dir))) if !self.dir(dir).live.is_empty() => {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        if source != target {
            self.change(vec![(source, None), (target, Some(node))]);
        }
        Ok(())
    }
    fn change(&mut self, entries: Vec<(Entry, Option<Node>)>) {
        for ((dir, name), node) in &entries {
            put(&mut self.dir(*dir).live, name, node.clone());
        }
        self.last_change += 1;
        self.journal.push(Change { seq: self.last_change, entries });
    }
}

/// What the device does.
impl Tree {
    pub fn is_changed(&self) -> bool {
        !self.journal.is_empty()
    }
    /// The number of the last change, and whether one of `dir` waits to be durable.
    pub fn pending(&self, dir: u64) -> Option<u64> {
        let waits = self.journal.iter().any(|c| c.entries.iter().any(|((d, _), _)| *d == dir));
        waits.then_some(self.last_change)
    }
    /// Makes the changes up to a number durable: those of one directory and whatever they build on, or all. Returns what to
    /// chain.
    pub fn commit(&mut self, dir: Option<u64>, up_to: u64) -> u64 {
        let mut needed = BTreeSet::new();
        let mut wanted = BTreeSet::new();
        for change in self.journal.iter().rev().filter(|c| c.seq <= up_to) {
            let named = dir.is_none_or(|dir| change.entries.iter().any(|((d, _), _)| *d == dir));
            if named || change.touches(&needed) {
                needed.extend(change.names());
                wanted.insert(change.seq);
            }
        }
        let (durable, waiting) = std::mem::take(&mut self.journal).into_iter().partition(|c| wanted.contains(&c.seq));
        self.journal = waiting;
        let durable: Vec<Change> = durable;
        let chained = durable.iter().map(|c| c.seq).sum();
        durable.into_iter().for_each(|change| self.apply(change));
        self.forget_unreachable();
        chained
    }
    fn apply(&mut self, change: Change) {
        for ((dir, name), node) in change.entries {
            if let Some(dir) = self.dirs.get_mut(&dir) {
                put(&mut dir.durable, &name, node);
            }
        }
    }
    /// The power is cut: each change that is not durable happened or not, by the seed.
    pub fn lose_unsynced(&mut self, random: &mut Draws) {
        let mut lost = BTreeSet::new();
        for change in std::mem::take(&mut self.journal) {
            if change.touches(&lost) || random.chance(1, 2) {
                lost.extend(change.names());
            } else {
                self.apply(change);
            }
        }
        for dir in self.dirs.values_mut() {
            dir.live = dir.durable.clone();
        }
        self.forget_unreachable();
    }
    fn forget_unreachable(&mut self) {
        let mut reached = BTreeSet::from([ROOT]);
        let mut open = vec![ROOT];
        let in_journal = self.journal.iter().flat_map(|c| &c.entries).filter_map(|(_, node)| node.as_ref());
        open.extend(in_journal.filter_map(Node::dir).filter(|dir| reached.insert(*dir)));
        while let Some(dir) = open.pop() {
            let Some(dir) = self.dirs.get(&dir) else { continue };
            let nodes = dir.live.values().chain(dir.durable.values());
            open.extend(nodes.filter_map(Node::dir).filter(|dir| reached.insert(*dir)));
        }
        self.dirs.retain(|dir, _| reached.contains(dir));
    }
    /// The files in and below a directory whose names end in `suffix`, in the order of their paths.
    pub fn files_below(&self, path: &str, suffix: &str) -> Vec<Arc<Inode>> {
        let Ok(root) = self.find_dir(path) else { return Vec::new() };
        let (mut found, mut open) = (Vec::new(), vec![root]);
        while let Some(dir) = open.pop() {
            for (name, node) in &self.dirs[&dir].live {
                match node {
                    Node::Dir(below) => open.push(*below),
                    Node::File(inode) if name.ends_with(suffix) => found.push(inode.clone()),
                    Node::File(_) => {}
                }
            }
        }
        found
    }
    /// The files that have names, in the order of their directories and names.
    pub fn files(&self) -> Vec<Arc<Inode>> {
        let nodes = self.dirs.values().flat_map(|dir| dir.live.values());
        nodes.filter_map(|node| if let Node::File(inode) = node { Some(inode.clone()) } else { None }).collect()
    }
}

impl Node {
    fn dir(&self) -> Option<u64> {
        if let Self::Dir(dir) = self { Some(*dir) } else { None }
    }
}

fn put(names: &mut BTreeMap<String, Node>, name: &str, node: Option<Node>) {
    match node {
        Some(node) => names.insert(name.to_owned(), node),
        None => names.remove(name),
    };
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}
