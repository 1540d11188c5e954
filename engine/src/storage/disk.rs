//! The calls that make a file durable, as a trait, so that a test can record their order.

use std::{
    fmt::Debug,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    path::Path,
};

/// What [`super::DurableStore`] asks of a file system.
pub(super) trait Disk: Debug + Send + Sync + 'static {
    /// Creates a file that does not exist yet; `AlreadyExists` when it does.
    fn create_new(&self, path: &Path) -> io::Result<File>;
    /// Writes the file's content and length through to the device.
    fn sync_file(&self, file: &File, path: &Path) -> io::Result<()>;
    /// Gives a file a second name; `AlreadyExists` when that name is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames, replacing what stands there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file's name.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Creates one directory; one that exists already is fine.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// Writes the directory's names through to the device.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// The machine's file system.
#[derive(Debug)]
pub(super) struct LocalDisk;

impl Disk for LocalDisk {
    fn create_new(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
    }

    fn sync_file(&self, file: &File, _path: &Path) -> io::Result<()> {
        file.sync_all()
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}
