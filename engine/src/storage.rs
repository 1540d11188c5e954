//! Storage of the tables: an object store over local folders whose writes are durable when they return.
//!
//! `object_store`'s own `LocalFileSystem` never syncs: after a power cut a committed Delta version may be an empty file.
//! [`DurableStore`] writes each object (put and multipart alike) beside its place under a staged name, syncs it, gives it
//! its name by a hard link (`Create`: an existing name is refused atomically, which is all that a Delta commit needs) or
//! a rename (`Overwrite`), and syncs the folder, and every folder that it had to create. Reads, lists and deletes are
//! those of `LocalFileSystem`.
//!
//! Staged names end in `#` and digits, which `LocalFileSystem` hides from every list; what a crash leaves is removed by
//! [`DurableStore::remove_leftovers`] at the next start. A failed sync is never retried: the store refuses every later
//! write and says why ([`DurableStore::failure`]).

use std::{
    fmt,
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::{Path as FsPath, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, future::BoxFuture, stream::BoxStream};
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode,
    UploadPart, local::LocalFileSystem, path::Path,
};

use disk::{Disk, LocalDisk};
use durable::{Durable, Staged, Target};

mod disk;
mod durable;
#[cfg(test)]
pub(crate) mod rig;

#[cfg(test)]
mod tests;

const NAME: &str = "DurableStore";

/// Why storage refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The device did not confirm a write: what it holds is unknown. Never retried.
    #[error("syncing {} failed", path.display())]
    Sync {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file or folder could not be created, written or named.
    #[error("writing {} failed", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The name is taken.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no such file.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A write outside the tables' folder.
    #[error("{} is outside {}", path.display(), root.display())]
    Outside {
        /// The file.
        path: PathBuf,
        /// The only folder that may be written.
        root: PathBuf,
    },
    /// An earlier sync failed.
    #[error("storage is not trusted since a sync failed ({cause})")]
    Poisoned {
        /// The earlier failure.
        cause: String,
    },
    /// A multipart upload that ended before.
    #[error("the upload of {} has ended", path.display())]
    Aborted {
        /// The file.
        path: PathBuf,
    },
}

impl From<StorageError> for object_store::Error {
    fn from(error: StorageError) -> Self {
        match &error {
            StorageError::Exists { path, .. } => Self::AlreadyExists {
                path: path.display().to_string(),
                source: Box::new(error),
            },
            StorageError::Missing { path, .. } => Self::NotFound {
                path: path.display().to_string(),
                source: Box::new(error),
            },
            StorageError::Sync { .. }
            | StorageError::Write { .. }
            | StorageError::Outside { .. }
            | StorageError::Poisoned { .. }
            | StorageError::Aborted { .. } => Self::Generic {
                store: NAME,
                source: Box::new(error),
            },
        }
    }
}

/// An object store whose paths are absolute paths of this machine, and which writes durably below one folder only.
#[derive(Debug, Clone)]
pub struct DurableStore {
    local: Arc<LocalFileSystem>,
    durable: Arc<Durable>,
}

impl DurableStore {
    /// Opens the store, creating `root` (an absolute path) when it is missing.
    ///
    /// # Errors
    /// When `root` cannot be created or synced.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        Self::open_on(Arc::new(LocalDisk), root.into())
    }

    fn open_on(disk: Arc<dyn Disk>, root: PathBuf) -> io::Result<Self> {
        Ok(Self {
            local: Arc::new(LocalFileSystem::new()),
            durable: Arc::new(Durable::open(disk, root)?),
        })
    }

    /// The first failed sync, after which nothing is written any more.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.durable.failure()
    }

    /// Removes the staged files that a crash left below the root; gives their number. For the one writer only.
    ///
    /// # Errors
    /// When a folder cannot be read or a file cannot be removed.
    pub fn remove_leftovers(&self) -> io::Result<u64> {
        let mut removed = 0;
        let mut folders = vec![self.durable.root().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else if is_staged(&entry.path()) {
                    std::fs::remove_file(entry.path())?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    fn resolve(&self, location: &Path) -> object_store::Result<PathBuf> {
        self.local.path_to_filesystem(location)
    }

    /// Runs `work` where it may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Durable) -> Result<T, StorageError> + Send + 'static,
    ) -> object_store::Result<T> {
        let durable = Arc::clone(&self.durable);
        blocking(move || work(&durable)).await
    }
}

/// Whether a file's name is that of a write under way (or left by a crash): it ends in `#` and digits.
fn is_staged(path: &FsPath) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.rsplit_once('#'))
        .is_some_and(|(base, number)| {
            !base.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> object_store::Result<T> {
    let result = match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await?,
        Err(_) => work(),
    };
    Ok(result?)
}

fn unsupported(operation: &str) -> object_store::Error {
    object_store::Error::NotImplemented {
        operation: operation.to_owned(),
        implementer: NAME.to_owned(),
    }
}

const DONE: PutResult = PutResult {
    e_tag: None,
    version: None,
};

impl fmt::Display for DurableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}({})", self.durable.root().display())
    }
}

#[async_trait::async_trait]
impl ObjectStore for DurableStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let target = match options.mode {
            PutMode::Overwrite => Target::Replace,
            PutMode::Create => Target::Create,
            PutMode::Update(_) => return Err(unsupported("conditional update")),
        };
        let path = self.resolve(location)?;
        self.run(move |durable| durable.put(&path, &payload, target))
            .await?;
        Ok(DONE)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        let path = self.resolve(location)?;
        let staged = {
            let path = path.clone();
            self.run(move |durable| durable.stage(&path)).await?
        };
        Ok(Box::new(Upload {
            durable: Arc::clone(&self.durable),
            path,
            staged: Some(Arc::new(Mutex::new(staged))),
            offset: 0,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.local.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[std::ops::Range<u64>],
    ) -> object_store::Result<Vec<bytes::Bytes>> {
        self.local.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        use futures::{StreamExt, TryStreamExt};
        let store = self.clone();
        let allowed = locations
            .and_then(move |location| {
                let checked = store
                    .resolve(&location)
                    .and_then(|path| Ok(store.durable.check(&path)?))
                    .map(|()| location);
                std::future::ready(checked)
            })
            .boxed();
        self.local.delete_stream(allowed)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.local.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.local.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.local.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        let target = match options.mode {
            CopyMode::Overwrite => Target::Replace,
            CopyMode::Create => Target::Create,
        };
        let (from, to) = (self.resolve(from)?, self.resolve(to)?);
        self.run(move |durable| durable.copy(&from, &to, target)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> object_store::Result<()> {
        let target = match options.target_mode {
            RenameTargetMode::Overwrite => Target::Replace,
            RenameTargetMode::Create => Target::Create,
        };
        let (from, to) = (self.resolve(from)?, self.resolve(to)?);
        self.run(move |durable| durable.rename(&from, &to, target)).await
    }
}

/// A multipart upload: parts go to their offsets in a staged file; `complete` syncs and names it.
#[derive(Debug)]
struct Upload {
    durable: Arc<Durable>,
    path: PathBuf,
    /// `None` once completed or aborted.
    staged: Option<Arc<Mutex<Staged>>>,
    offset: u64,
}

impl Upload {
    fn ended(&self) -> StorageError {
        StorageError::Aborted {
            path: self.path.clone(),
        }
    }
}

#[async_trait::async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let Some(staged) = self.staged.clone() else {
            let ended = self.ended();
            return std::future::ready(Err(ended.into())).boxed();
        };
        let offset = self.offset;
        self.offset = offset.saturating_add(u64::try_from(data.content_length()).unwrap_or(u64::MAX));
        let path = self.path.clone();
        let part: BoxFuture<'static, _> = blocking(move || {
            let mut staged = staged.lock().unwrap_or_else(PoisonError::into_inner);
            write_at(&mut staged.file, offset, &data).map_err(|source| StorageError::Write { path, source })
        })
        .boxed();
        part
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        let staged = self.staged.take().ok_or_else(|| self.ended())?;
        let (durable, path) = (Arc::clone(&self.durable), self.path.clone());
        blocking(move || {
            let staged = staged.lock().unwrap_or_else(PoisonError::into_inner);
            durable.publish(&staged, &path, Target::Replace)
        })
        .await?;
        Ok(DONE)
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        let staged = self.staged.take().ok_or_else(|| self.ended())?;
        let durable = Arc::clone(&self.durable);
        blocking(move || {
            durable.discard(&staged.lock().unwrap_or_else(PoisonError::into_inner).path);
            Ok(())
        })
        .await
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(staged) = self.staged.take() {
            self.durable
                .discard(&staged.lock().unwrap_or_else(PoisonError::into_inner).path);
        }
    }
}

fn write_at(file: &mut File, offset: u64, data: &PutPayload) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    data.iter().try_for_each(|part| file.write_all(part))
}
