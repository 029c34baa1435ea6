//! The facade: what a process holds of its disk.

use super::super::host::TROUBLED;
use super::super::state::State;
use super::super::world::World;
use super::faults::Kind;
use super::inode::{Content, Inode};
use super::tree::Tree;
use super::{Device, Space, Work};
use crate::io::disk::Volume;
use bytes::Bytes;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Whose handle it is: the process that opened it.
#[derive(Clone, Debug)]
struct Owner {
    world: World,
    host: u32,
    incarnation: u32,
    life: Arc<AtomicU32>,
}

impl Owner {
    /// Refuses what a dead process might still ask for.
    #[inline]
    fn check(&self) -> io::Result<()> {
        if self.life.load(Ordering::Relaxed) & !TROUBLED == self.incarnation {
            return Ok(());
        }
        Err(io::Error::other("the process of this handle is dead"))
    }
    /// The process lives and its disk has no fault.
    #[inline]
    fn is_well(&self) -> bool {
        self.life.load(Ordering::Relaxed) == self.incarnation
    }
    /// Lets an operation begin: at once, unless the process is dead or its disk has a fault.
    #[inline]
    async fn admit(&self, kind: Kind, bytes: usize) -> io::Result<()> {
        if self.is_well() {
            return Ok(());
        }
        Box::pin(self.admit_to_troubled_disk(kind, bytes as u64)).await
    }
    #[cold]
    async fn admit_to_troubled_disk(&self, kind: Kind, bytes: u64) -> io::Result<()> {
        let mut pass = None;
        poll_fn(|cx| self.world.lock().poll_admit(self.host, self.incarnation, (kind, bytes), &mut pass, cx)).await
    }
    /// Waits until the device has done `work`.
    async fn perform(&self, work: Work) -> io::Result<()> {
        let op = self.world.lock().start_op(self.host, work);
        poll_fn(|cx| self.world.lock().poll_op(op, cx)).await
    }
}

/// A directory of this node's disk; all paths are below it, separated by `/`.
#[derive(Clone, Debug)]
pub struct Disk {
    owner: Owner,
    root: Arc<str>,
}

impl Disk {
    /// Opens the directory `root`, which is made if it is not there.
    ///
    /// # Errors
    /// If a file is in the way.
    pub fn mount(root: &str) -> io::Result<Self> {
        let world = World::current();
        let owner = {
            let mut state = world.lock();
            let host = state.current();
            let of = state.host_mut(host);
            of.disk.tree.create_dir_all(root)?;
            // A mount point survives.
            of.disk.tree.commit(None, u64::MAX);
            Owner { world: world.clone(), host, incarnation: of.incarnation, life: of.life.clone() }
        };
        Ok(Self { owner, root: root.trim_end_matches('/').into() })
    }
    fn path(&self, path: &str) -> String {
        format!("{}/{path}", self.root)
    }
    fn look<T>(&self, f: impl FnOnce(&Tree) -> io::Result<T>) -> io::Result<T> {
        self.owner.check()?;
        f(&self.owner.world.state().lock().host(self.owner.host).disk.tree)
    }
    fn change<T>(&self, f: impl FnOnce(&mut Device) -> io::Result<T>) -> io::Result<T> {
        self.owner.check()?;
        let mut state = self.owner.world.lock();
        let result = f(&mut state.host_mut(self.owner.host).disk)?;
        state.directories_changed(self.owner.host);
        Ok(result)
    }
}

impl Disk {
    /// Makes a directory and those above it.
    ///
    /// # Errors
    /// If a file is in the way.
    pub async fn create_dir_all(&self, path: &str) -> io::Result<()> {
        self.owner.admit(Kind::Name, 0).await?;
        self.change(|device| device.tree.create_dir_all(&self.path(path)))
    }
    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`.
    pub async fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.owner.admit(Kind::Name, 0).await?;
        self.look(|tree| tree.list(&self.path(path)))
    }
    /// True if there is a file or directory of that name.
    ///
    /// # Errors
    /// What the operating system reports.
    pub async fn exists(&self, path: &str) -> io::Result<bool> {
        self.owner.admit(Kind::Name, 0).await?;
        self.look(|tree| Ok(tree.exists(&self.path(path))))
    }
    /// Opens a file, to read and to write.
    ///
    /// # Errors
    /// `NotFound` if it is not there and `create` is false, or if its directory is not.
    pub async fn open(&self, path: &str, create: bool) -> io::Result<File> {
        self.owner.admit(Kind::Name, 0).await?;
        let inode = self.change(|device| {
            let space: &Arc<Space> = &device.space;
            device.tree.open(&self.path(path), || create.then(|| Inode::new(space.clone())))
        })?;
        Ok(File { owner: self.owner.clone(), inode })
    }
    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`.
    pub async fn remove(&self, path: &str) -> io::Result<()> {
        self.owner.admit(Kind::Name, 0).await?;
        self.change(|device| device.tree.remove(&self.path(path)))
    }
    /// Removes a directory with everything in it.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`.
    pub async fn remove_dir_all(&self, path: &str) -> io::Result<()> {
        self.owner.admit(Kind::Name, 0).await?;
        self.change(|device| device.tree.remove_dir_all(&self.path(path)))
    }
    /// Renames a file or directory; a file that has the new name is replaced, in one step.
    ///
    /// # Errors
    /// `NotFound`, `DirectoryNotEmpty`.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.owner.admit(Kind::Name, 0).await?;
        self.change(|device| device.tree.rename(&self.path(from), &self.path(to)))
    }
    /// Makes all changes of names in a directory durable.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`.
    pub async fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.owner.admit(Kind::Sync, 0).await?;
        let (dir, pending) = self.look(|tree| {
            let dir = tree.find_dir(&self.path(path))?;
            Ok((dir, tree.pending(dir)))
        })?;
        match pending {
            Some(up_to) => self.owner.perform(Work::SyncDir { dir, up_to }).await,
            None => Ok(()),
        }
    }
    /// How many bytes there are in all, and how many are free.
    ///
    /// # Errors
    /// What the operating system reports.
    pub async fn volume(&self) -> io::Result<Volume> {
        self.owner.check()?;
        let state = self.owner.world.state().lock();
        let space = &state.host(self.owner.host).disk.space;
        let (total, used) = (space.capacity.load(Ordering::Relaxed), space.used.load(Ordering::Relaxed));
        Ok(Volume { total, usable: total.saturating_sub(used) })
    }
}

/// An open file; clones are the same file. It stays readable when its name is removed.
#[derive(Clone, Debug)]
pub struct File {
    owner: Owner,
    inode: Arc<Inode>,
}

impl File {
    /// Changes the contents, and has them written back some time later.
    #[inline]
    fn change<T>(&self, f: impl FnOnce(&mut Content) -> io::Result<T>) -> io::Result<T> {
        let (result, write_back) = {
            let mut content = self.inode.content();
            (f(&mut content)?, content.wants_write_back())
        };
        if write_back {
            let work = Work::WriteBack(Arc::downgrade(&self.inode));
            State::start_op(&mut self.owner.world.lock(), self.owner.host, work);
        }
        Ok(result)
    }
}

impl File {
    /// Writes at the end and says where that was.
    ///
    /// # Errors
    /// `StorageFull`, and what the device reports.
    pub async fn append(&self, data: &[u8]) -> io::Result<u64> {
        self.owner.admit(Kind::Append, data.len()).await?;
        self.change(|content| content.append(data))
    }
    /// Writes at an offset; a gap before it reads as zeros.
    ///
    /// # Errors
    /// `StorageFull`, and what the device reports.
    pub async fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.owner.admit(Kind::Append, data.len()).await?;
        self.change(|content| content.write_at(offset, data))
    }
    /// Up to `max_len` bytes from `offset` on; fewer only at the end of the file.
    ///
    /// # Errors
    /// What the device reports.
    pub async fn read_at(&self, offset: u64, max_len: usize) -> io::Result<Bytes> {
        if !self.owner.is_well() {
            let len = self.inode.content().readable(offset, max_len);
            self.owner.admit(Kind::Read, len).await?;
        }
        Ok(self.inode.content().read_at(offset, max_len))
    }
    /// The length in bytes.
    ///
    /// # Errors
    /// What the operating system reports.
    pub async fn len(&self) -> io::Result<u64> {
        self.owner.admit(Kind::Name, 0).await?;
        Ok(self.inode.content().len())
    }
    /// Makes the file end at `len`; what is added reads as zeros.
    ///
    /// # Errors
    /// `StorageFull`, and what the device reports.
    pub async fn truncate(&self, len: u64) -> io::Result<()> {
        self.owner.admit(Kind::Append, 0).await?;
        self.change(|content| content.truncate(len))
    }
    /// Makes everything that was written to this file until now durable; not its name (see [`Disk::sync_dir`]).
    ///
    /// # Errors
    /// What the device reports; what is durable is then unknown.
    pub async fn sync(&self) -> io::Result<()> {
        self.owner.admit(Kind::Sync, 0).await?;
        let Some(target) = self.inode.content().sync_target() else { return Ok(()) };
        self.owner.perform(Work::SyncFile(self.inode.clone(), target)).await
    }
}
