//! Files of the operating system.

use crate::io::disk::Volume;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory of this node's disk; all paths are below it, separated by `/`.
#[derive(Clone, Debug)]
pub struct Disk {
    root: Arc<Path>,
}

impl Disk {
    /// Opens the directory `root`, which is made if it is not there.
    ///
    /// # Errors
    /// What the operating system reports.
    pub fn mount(root: &str) -> io::Result<Self> {
        std::fs::create_dir_all(root)?;
        Ok(Self { root: Path::new(root).into() })
    }
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_matches('/'))
    }
}

impl Disk {
    /// Makes a directory and those above it.
    ///
    /// # Errors
    /// If a file is in the way, and what the operating system reports.
    pub async fn create_dir_all(&self, path: &str) -> io::Result<()> {
        std::fs::create_dir_all(self.path(path))
    }
    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`; `InvalidData` for a name that is not UTF-8.
    pub async fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.path(path))? {
            names.push(entry?.file_name().into_string().map_err(|_| ErrorKind::InvalidData)?);
        }
        names.sort_unstable();
        Ok(names)
    }
    /// True if there is a file or directory of that name.
    ///
    /// # Errors
    /// What the operating system reports.
    pub async fn exists(&self, path: &str) -> io::Result<bool> {
        self.path(path).try_exists()
    }
    /// Opens a file, to read and to write.
    ///
    /// # Errors
    /// `NotFound` if it is not there and `create` is false, or if its directory is not.
    pub async fn open(&self, path: &str, create: bool) -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).create(create).truncate(false).open(self.path(path))?;
        let len = file.metadata()?.len();
        Ok(File { file: Arc::new(file), end: Arc::new(Mutex::new(len)) })
    }
    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`.
    pub async fn remove(&self, path: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(path))
    }
    /// Removes a directory with everything in it.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`.
    pub async fn remove_dir_all(&self, path: &str) -> io::Result<()> {
        let path = self.path(path);
        blocking(move || std::fs::remove_dir_all(path)).await
    }
    /// Renames a file or directory; a file that has the new name is replaced, in one step.
    ///
    /// # Errors
    /// `NotFound`, `DirectoryNotEmpty`.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }
    /// Makes all changes of names in a directory durable.
    ///
    /// # Errors
    /// `NotFound`, and what the device reports.
    pub async fn sync_dir(&self, path: &str) -> io::Result<()> {
        let path = self.path(path);
        blocking(move || std::fs::File::open(path)?.sync_all()).await
    }
    /// How many bytes there are in all, and how many are free.
    ///
    /// # Errors
    /// What the operating system reports.
    pub async fn volume(&self) -> io::Result<Volume> {
        let root = self.root.clone();
        blocking(move || volume(&root)).await
    }
}

/// std cannot ask for it and `unsafe` is not an option, so `df` is asked (POSIX format, in KiB).
fn volume(root: &Path) -> io::Result<Volume> {
    let output = std::process::Command::new("df").arg("-Pk").arg(root).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let bytes = |column| {
        let word = text.lines().nth(1)?.split_whitespace().nth(column)?;
        word.parse::<u64>().ok()?.checked_mul(1024)
    };
    let space = bytes(1).zip(bytes(3)).map(|(total, usable)| Volume { total, usable });
    space.ok_or_else(|| io::Error::other("df gave no answer"))
}

/// Does what may wait for the device where waiting is allowed.
async fn blocking<T: Send + 'static>(f: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(f).await.map_err(io::Error::other)?
}

/// An open file; clones are the same file. It stays readable when its name is removed. Only one opening of a file may
/// write to it.
#[derive(Clone, Debug)]
pub struct File {
    file: Arc<std::fs::File>,
    end: Arc<Mutex<u64>>,
}

impl File {
    /// Writes at the end and says where that was.
    ///
    /// # Errors
    /// `StorageFull`, and what the device reports.
    pub async fn append(&self, data: &[u8]) -> io::Result<u64> {
        let mut end = self.end.lock();
        self.file.write_all_at(data, *end)?;
        let at = *end;
        *end += data.len() as u64;
        Ok(at)
    }
    /// Writes at an offset; a gap before it reads as zeros.
    ///
    /// # Errors
    /// `StorageFull`, and what the device reports.
    pub async fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut end = self.end.lock();
        self.file.write_all_at(data, offset)?;
        *end = (*end).max(offset + data.len() as u64);
        Ok(())
    }
    /// Up to `max_len` bytes from `offset` on; fewer only at the end of the file.
    ///
    /// # Errors
    /// What the device reports.
    pub async fn read_at(&self, offset: u64, max_len: usize) -> io::Result<Bytes> {
        let there = self.end.lock().saturating_sub(offset);
        let mut buffer = BytesMut::zeroed(max_len.min(usize::try_from(there).unwrap_or(usize::MAX)));
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(filled);
        Ok(buffer.freeze())
    }
    /// The length in bytes.
    ///
    /// # Errors
    /// What the operating system reports.
    pub async fn len(&self) -> io::Result<u64> {
        Ok(*self.end.lock())
    }
    /// Makes the file end at `len`; what is added reads as zeros.
    ///
    /// # Errors
    /// `StorageFull`, and what the device reports.
    pub async fn truncate(&self, len: u64) -> io::Result<()> {
        let mut end = self.end.lock();
        self.file.set_len(len)?;
        *end = len;
        Ok(())
    }
    /// Makes everything that was written to this file until now durable; not its name (see [`Disk::sync_dir`]).
    ///
    /// # Errors
    /// What the device reports; what is durable is then unknown.
    pub async fn sync(&self) -> io::Result<()> {
        let file = self.file.clone();
        blocking(move || file.sync_data()).await
    }
}
