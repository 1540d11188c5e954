//! The steps from bytes to a durable, visible name.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use object_store::PutPayload;

use super::{StorageError, disk::Disk};

/// Whether a name may already be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// Replace what stands there, atomically.
    Replace,
    /// Refuse a name that exists, atomically.
    Create,
}

/// A disk, the folder below which it may write, and whether it can still be trusted.
#[derive(Debug)]
pub(super) struct Durable {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Directories whose own name is known to be durable.
    directories: Mutex<HashSet<PathBuf>>,
    staged: AtomicU64,
    /// The first failed sync: what the device holds is unknown from then on.
    failure: OnceLock<String>,
}

/// A file being written under a name that no reader sees.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl Durable {
    /// Creates `root` (and the folders above it) durably.
    pub(super) fn open(disk: Arc<dyn Disk>, root: PathBuf) -> io::Result<Self> {
        let missing: Vec<&Path> = root
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .collect();
        for folder in missing.into_iter().rev() {
            disk.create_directory(folder)?;
            if let Some(parent) = folder.parent() {
                disk.sync_directory(parent)?;
            }
        }
        Ok(Self {
            disk,
            directories: Mutex::new(HashSet::from([root.clone()])),
            root,
            staged: AtomicU64::new(1),
            failure: OnceLock::new(),
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Refuses to go on after a failed sync, and to write outside the root.
    pub(super) fn check(&self, path: &Path) -> Result<(), StorageError> {
        if let Some(cause) = self.failure() {
            return Err(StorageError::Poisoned {
                cause: cause.to_owned(),
            });
        }
        if !path.starts_with(&self.root) {
            return Err(StorageError::Outside {
                path: path.to_owned(),
                root: self.root.clone(),
            });
        }
        Ok(())
    }

    /// A new file beside `destination`, under a name that [`super::is_staged`] knows.
    pub(super) fn stage(&self, destination: &Path) -> Result<Staged, StorageError> {
        self.check(destination)?;
        self.ensure_directory(parent_of(destination))?;
        loop {
            let number = self.staged.fetch_add(1, Ordering::Relaxed);
            let mut name = destination.as_os_str().to_owned();
            name.push(format!("#{number}"));
            let path = PathBuf::from(name);
            match self.disk.create_new(&path) {
                Ok(file) => return Ok(Staged { file, path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(source) => return Err(StorageError::Write { path, source }),
            }
        }
    }

    /// Writes, syncs, and gives the bytes their name.
    pub(super) fn put(&self, path: &Path, payload: &PutPayload, target: Target) -> Result<(), StorageError> {
        let mut staged = self.stage(path)?;
        let written = payload.iter().try_for_each(|part| staged.file.write_all(part));
        if let Err(source) = written {
            self.discard(&staged.path);
            let path = path.to_owned();
            return Err(StorageError::Write { path, source });
        }
        self.publish(&staged, path, target)
    }

    /// Syncs a staged file, gives it its name, and syncs the folder.
    pub(super) fn publish(&self, staged: &Staged, path: &Path, target: Target) -> Result<(), StorageError> {
        self.sync(&staged.file, &staged.path)?;
        let named = match target {
            Target::Replace => self.disk.rename(&staged.path, path),
            Target::Create => self.disk.link(&staged.path, path),
        };
        if target == Target::Create || named.is_err() {
            self.discard(&staged.path);
        }
        named.map_err(|source| naming_failed(path, source))?;
        self.sync_directory(parent_of(path))
    }

    /// Gives a stored file a second name.
    pub(super) fn copy(&self, from: &Path, to: &Path, target: Target) -> Result<(), StorageError> {
        self.check(to)?;
        let source = File::open(from).map_err(|source| naming_failed(from, source))?;
        self.ensure_directory(parent_of(to))?;
        self.sync(&source, from)?;
        match target {
            Target::Create => self.disk.link(from, to),
            Target::Replace => {
                let staged = self.stage(to)?;
                self.discard(&staged.path);
                self.disk
                    .link(from, &staged.path)
                    .and_then(|()| self.disk.rename(&staged.path, to))
            }
        }
        .map_err(|source| naming_failed(to, source))?;
        self.sync_directory(parent_of(to))
    }

    /// Moves a stored file to another name.
    pub(super) fn rename(&self, from: &Path, to: &Path, target: Target) -> Result<(), StorageError> {
        self.check(from)?;
        match target {
            Target::Create => {
                self.copy(from, to, Target::Create)?;
                self.disk
                    .remove(from)
                    .map_err(|source| naming_failed(from, source))?;
            }
            Target::Replace => {
                self.check(to)?;
                let source = File::open(from).map_err(|source| naming_failed(from, source))?;
                self.ensure_directory(parent_of(to))?;
                self.sync(&source, from)?;
                self.disk
                    .rename(from, to)
                    .map_err(|source| naming_failed(to, source))?;
                self.sync_directory(parent_of(to))?;
            }
        }
        self.sync_directory(parent_of(from))
    }

    /// Best effort: a staged file that stays is removed at the next start.
    pub(super) fn discard(&self, staged: &Path) {
        if let Err(error) = self.disk.remove(staged)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(path = %staged.display(), %error, "a staged file could not be removed");
        }
    }

    /// Creates the folder if need be and makes its name durable, once per process: a folder that an earlier
    /// process left behind may not have been synced either.
    fn ensure_directory(&self, folder: &Path) -> Result<(), StorageError> {
        let mut known = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown: Vec<&Path> = folder
            .ancestors()
            .take_while(|folder| folder.starts_with(&self.root) && !known.contains(*folder))
            .collect();
        for folder in unknown.into_iter().rev() {
            self.disk
                .create_directory(folder)
                .map_err(|source| StorageError::Write {
                    path: folder.to_owned(),
                    source,
                })?;
            self.sync_directory(parent_of(folder))?;
            known.insert(folder.to_owned());
        }
        Ok(())
    }

    fn sync(&self, file: &File, path: &Path) -> Result<(), StorageError> {
        self.disk
            .sync_file(file, path)
            .map_err(|source| self.poison(path, source))
    }

    fn sync_directory(&self, folder: &Path) -> Result<(), StorageError> {
        self.disk
            .sync_directory(folder)
            .map_err(|source| self.poison(folder, source))
    }

    fn poison(&self, path: &Path, source: io::Error) -> StorageError {
        let cause = self
            .failure
            .get_or_init(|| format!("{}: {source}", path.display()));
        tracing::error!(failure = %cause, "a sync failed: the tables' storage is not trusted any more");
        StorageError::Sync {
            path: path.to_owned(),
            source,
        }
    }
}

fn naming_failed(path: &Path, source: io::Error) -> StorageError {
    let path = path.to_owned();
    let kind = source.kind();
    if kind == ErrorKind::AlreadyExists {
        StorageError::Exists { path, source }
    } else if kind == ErrorKind::NotFound {
        StorageError::Missing { path, source }
    } else {
        StorageError::Write { path, source }
    }
}

pub(super) fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}
