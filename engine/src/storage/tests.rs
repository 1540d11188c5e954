use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path as FsPath, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, path::Path};

use super::{
    DurableStore,
    disk::{Disk, LocalDisk},
    is_staged,
};

/// What was asked of the disk, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Call {
    SyncFile(PathBuf),
    Link(PathBuf, PathBuf),
    Rename(PathBuf, PathBuf),
    CreateDirectory(PathBuf),
    SyncDirectory(PathBuf),
}

/// The machine's disk, with a record of the calls, which can be told to fail every sync.
#[derive(Debug, Default)]
struct Recorder {
    calls: Mutex<Vec<Call>>,
    fail_syncs: AtomicBool,
}

impl Recorder {
    fn note(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }

    fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn sync(&self) -> io::Result<()> {
        if self.fail_syncs.load(Ordering::SeqCst) {
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }
}

impl Disk for Recorder {
    fn create_new(&self, path: &FsPath) -> io::Result<File> {
        LocalDisk.create_new(path)
    }
    fn sync_file(&self, file: &File, path: &FsPath) -> io::Result<()> {
        self.note(Call::SyncFile(path.to_owned()));
        self.sync()?;
        LocalDisk.sync_file(file, path)
    }
    fn link(&self, from: &FsPath, to: &FsPath) -> io::Result<()> {
        LocalDisk.link(from, to)?;
        self.note(Call::Link(from.to_owned(), to.to_owned()));
        Ok(())
    }
    fn rename(&self, from: &FsPath, to: &FsPath) -> io::Result<()> {
        LocalDisk.rename(from, to)?;
        self.note(Call::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }
    fn remove(&self, path: &FsPath) -> io::Result<()> {
        LocalDisk.remove(path)
    }
    fn create_directory(&self, path: &FsPath) -> io::Result<()> {
        LocalDisk.create_directory(path)?;
        self.note(Call::CreateDirectory(path.to_owned()));
        Ok(())
    }
    fn sync_directory(&self, path: &FsPath) -> io::Result<()> {
        self.note(Call::SyncDirectory(path.to_owned()));
        self.sync()?;
        LocalDisk.sync_directory(path)
    }
}

struct Fixture {
    _folder: tempfile::TempDir,
    root: PathBuf,
    disk: Arc<Recorder>,
    store: DurableStore,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap().join("tables");
    let disk = Arc::new(Recorder::default());
    let store = DurableStore::open_on(Arc::<Recorder>::clone(&disk), root.clone()).unwrap();
    Fixture {
        _folder: folder,
        root,
        disk,
        store,
    }
}

impl Fixture {
    fn location(&self, name: &str) -> Path {
        Path::from_absolute_path(self.root.join(name)).unwrap()
    }
}

fn create() -> PutOptions {
    PutOptions::from(PutMode::Create)
}

/// Every name given in `calls` belongs to a file synced before, and its folder is synced after.
fn assert_durable(calls: &[Call], expected_names: usize) {
    let mut names = 0;
    let mut synced: HashSet<&PathBuf> = HashSet::new();
    for (at, call) in calls.iter().enumerate() {
        let (from, to) = match call {
            Call::SyncFile(path) => {
                synced.insert(path);
                continue;
            }
            Call::Link(from, to) | Call::Rename(from, to) => (from, to),
            Call::CreateDirectory(_) | Call::SyncDirectory(_) => continue,
        };
        assert!(
            synced.contains(from),
            "{to:?} became visible before its content was synced: {calls:?}"
        );
        synced.insert(to);
        if is_staged(to) {
            continue;
        }
        names += 1;
        let folder = Call::SyncDirectory(to.parent().unwrap().to_owned());
        assert!(
            calls[at..].contains(&folder),
            "the name {to:?} was not synced: {calls:?}"
        );
    }
    assert_eq!(names, expected_names, "{calls:?}");
    for (at, call) in calls.iter().enumerate() {
        if let Call::CreateDirectory(path) = call {
            let parent = Call::SyncDirectory(path.parent().unwrap().to_owned());
            assert!(
                calls[at..].contains(&parent),
                "the folder {path:?} was not synced: {calls:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_root_and_every_new_folder_are_synced() {
    let fixture = fixture();
    let calls = fixture.disk.take();
    assert!(calls.contains(&Call::CreateDirectory(fixture.root.clone())));
    assert_durable(&calls, 0);

    let location = fixture.location("reads/_delta_log/0.json");
    fixture
        .store
        .put_opts(&location, "{}".into(), create())
        .await
        .unwrap();
    let calls = fixture.disk.take();
    assert!(calls.contains(&Call::CreateDirectory(fixture.root.join("reads/_delta_log"))));
    assert!(calls.contains(&Call::SyncDirectory(fixture.root.clone())));
    assert_durable(&calls, 1);
}

#[tokio::test]
async fn every_way_to_write_syncs_before_the_name_is_visible() {
    let fixture = fixture();
    let (a, b, c, d) = (
        fixture.location("t/a"),
        fixture.location("t/b"),
        fixture.location("t/deep/c"),
        fixture.location("t/d"),
    );
    let store = &fixture.store;
    store.put_opts(&a, "one".into(), create()).await.unwrap();
    assert_durable(&fixture.disk.take(), 1);
    store.put(&a, "two".into()).await.unwrap();
    assert_durable(&fixture.disk.take(), 1);

    let mut upload = store.put_multipart(&b).await.unwrap();
    let parts = [upload.put_part("he".into()), upload.put_part("llo".into())];
    futures::future::try_join_all(parts).await.unwrap();
    assert!(store.head(&b).await.is_err(), "visible before it is complete");
    upload.complete().await.unwrap();
    assert_durable(&fixture.disk.take(), 1);

    store.copy_if_not_exists(&b, &c).await.unwrap();
    assert_durable(&fixture.disk.take(), 1);
    store.copy(&a, &c).await.unwrap();
    assert_durable(&fixture.disk.take(), 1);
    store.rename_if_not_exists(&c, &d).await.unwrap();
    assert_durable(&fixture.disk.take(), 1);
    store.rename(&d, &b).await.unwrap();
    assert_durable(&fixture.disk.take(), 1);

    let text = store.get(&b).await.unwrap().bytes().await.unwrap();
    assert_eq!(&text[..], b"two");
    let names: Vec<_> = store
        .list(Some(&fixture.location("t")))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test]
async fn multipart_content_is_the_parts_in_order() {
    let fixture = fixture();
    let location = fixture.location("t/parts");
    let mut upload = fixture.store.put_multipart(&location).await.unwrap();
    let first = upload.put_part("aaaa".into());
    let second = upload.put_part("bb".into());
    second.await.unwrap();
    first.await.unwrap();
    upload.complete().await.unwrap();
    let text = fixture.store.get(&location).await.unwrap().bytes().await.unwrap();
    assert_eq!(&text[..], b"aaaabb");
    assert!(upload.put_part("c".into()).await.is_err());
}

#[tokio::test]
async fn create_refuses_an_existing_name_and_leaves_it_as_it_was() {
    let fixture = fixture();
    let location = fixture.location("t/_delta_log/1.json");
    fixture
        .store
        .put_opts(&location, "first".into(), create())
        .await
        .unwrap();
    let error = fixture
        .store
        .put_opts(&location, "second".into(), create())
        .await
        .unwrap_err();
    assert!(
        matches!(error, object_store::Error::AlreadyExists { .. }),
        "{error:?}"
    );
    let text = fixture.store.get(&location).await.unwrap().bytes().await.unwrap();
    assert_eq!(&text[..], b"first");
    let staged: Vec<_> = fs::read_dir(fixture.root.join("t/_delta_log"))
        .unwrap()
        .filter(|entry| is_staged(&entry.as_ref().unwrap().path()))
        .collect();
    assert!(staged.is_empty(), "{staged:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_create_one_name_at_once_one_succeeds() {
    let fixture = fixture();
    let location = fixture.location("t/_delta_log/7.json");
    let attempts = (0..32).map(|number: u32| {
        let (store, location) = (fixture.store.clone(), location.clone());
        tokio::spawn(async move {
            store
                .put_opts(&location, PutPayload::from(number.to_string()), create())
                .await
        })
    });
    let results = futures::future::join_all(attempts).await;
    assert_eq!(
        results
            .into_iter()
            .filter(|result| result.as_ref().unwrap().is_ok())
            .count(),
        1
    );
}

#[tokio::test]
async fn staged_files_are_invisible_and_removed_at_the_next_start() {
    let fixture = fixture();
    let location = fixture.location("t/a.parquet");
    fixture.store.put(&location, "x".into()).await.unwrap();
    let crashed = fixture
        .store
        .put_multipart(&fixture.location("t/b.parquet"))
        .await
        .unwrap();
    std::mem::forget(crashed);
    let folder = fixture.location("t");
    let names: Vec<_> = fixture.store.list(Some(&folder)).try_collect().await.unwrap();
    assert_eq!(names.len(), 1, "{names:?}");
    let reopened = DurableStore::open(fixture.root.clone()).unwrap();
    assert_eq!(reopened.remove_leftovers().unwrap(), 1);
    assert_eq!(reopened.remove_leftovers().unwrap(), 0);
    assert!(reopened.head(&location).await.is_ok());
}

#[tokio::test]
async fn an_aborted_or_dropped_upload_leaves_nothing() {
    let fixture = fixture();
    let location = fixture.location("t/a.parquet");
    let mut upload = fixture.store.put_multipart(&location).await.unwrap();
    upload.put_part("abc".into()).await.unwrap();
    upload.abort().await.unwrap();
    drop(fixture.store.put_multipart(&location).await.unwrap());
    assert_eq!(fs::read_dir(fixture.root.join("t")).unwrap().count(), 0);
}

/// What the recorder above takes for granted. Linux refuses to sync a character device, so whoever answers Ok asked nobody.
#[cfg(target_os = "linux")]
#[test]
fn the_local_disk_asks_the_system_to_sync_files_and_directories() {
    let refuses = FsPath::new("/dev/null");
    let file = File::open(refuses).unwrap();
    let refused = |outcome: io::Result<()>| outcome.map_err(|error| error.kind());
    assert_eq!(
        refused(LocalDisk.sync_file(&file, refuses)),
        Err(io::ErrorKind::InvalidInput)
    );
    assert_eq!(
        refused(LocalDisk.sync_directory(refuses)),
        Err(io::ErrorKind::InvalidInput)
    );
}

#[tokio::test]
async fn a_failed_sync_is_never_retried() {
    let fixture = fixture();
    fixture.disk.fail_syncs.store(true, Ordering::SeqCst);
    let location = fixture.location("a");
    let error = fixture.store.put(&location, "x".into()).await.unwrap_err();
    assert!(error.to_string().contains("syncing"), "{error}");
    assert!(
        fixture.store.head(&location).await.is_err(),
        "visible although its content is unknown"
    );
    fixture.disk.fail_syncs.store(false, Ordering::SeqCst);
    let error = fixture.store.put(&location, "x".into()).await.unwrap_err();
    assert!(error.to_string().contains("not trusted"), "{error}");
    assert!(fixture.store.failure().unwrap().contains("input/output error"));
}

#[tokio::test]
async fn nothing_outside_the_root_is_written_or_deleted() {
    let fixture = fixture();
    let outside = fixture.root.parent().unwrap().join("outside");
    fs::write(&outside, "mine").unwrap();
    let location = Path::from_absolute_path(&outside).unwrap();
    assert!(fixture.store.put(&location, "x".into()).await.is_err());
    assert!(fixture.store.delete(&location).await.is_err());
    assert!(
        fixture
            .store
            .rename(&location, &fixture.location("a"))
            .await
            .is_err()
    );
    assert_eq!(fs::read_to_string(&outside).unwrap(), "mine");
}

#[test]
fn staged_names() {
    let check = |name: &str, expected: bool| assert_eq!(is_staged(FsPath::new(name)), expected, "{name}");
    check("/t/part-0.parquet#12", true);
    check("/t/part-0.parquet#", false);
    check("/t/part-0.parquet", false);
    check("/t/day#x", false);
    check("/t/#1", false);
}
