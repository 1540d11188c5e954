use gridtally_schemas::table::INTERVAL_READS;
use tempfile::TempDir;

use super::*;

const FIRST: &str = r#"{"commitInfo":{"operation":"WRITE"}}
{"add":{"path":"day=2026-04-01/a.parquet","partitionValues":{"day":"2026-04-01"},"size":10,"modificationTime":1,"dataChange":true,"stats":"{\"numRecords\":3}"}}
{"txn":{"appId":"gridtally","version":7}}
"#;
const SECOND: &str = r#"{"remove":{"path":"day=2026-04-01/a.parquet","dataChange":false}}
{"add":{"path":"day=2026-04-02/b.parquet","partitionValues":{"day":null},"size":20,"modificationTime":1,"dataChange":false}}
"#;

struct Log(TempDir);

impl Log {
    fn new() -> Self {
        let log = Self(TempDir::new().unwrap());
        log.write(0, "{}");
        log
    }

    fn write(&self, version: u64, text: &str) {
        fs::write(commit(self.0.path(), version), text).unwrap();
    }

    fn follow(&self, listing: &mut Listing) -> Followed {
        listing.follow(&INTERVAL_READS, self.0.path())
    }
}

fn at_the_begin() -> Listing {
    Listing {
        version: Some(0),
        files: BTreeMap::new(),
    }
}

#[test]
fn a_listing_has_what_the_commits_since_added_and_not_what_they_removed() {
    let (log, mut listing) = (Log::new(), at_the_begin());
    assert!(listing.is_newest(log.0.path()));
    log.write(1, FIRST);
    assert!(!listing.is_newest(log.0.path()));
    assert_eq!(log.follow(&mut listing), Followed::ToTheEnd);
    let file = DataFile {
        path: "day=2026-04-01/a.parquet".to_owned(),
        bytes: 10,
        part: Day::parse("2026-04-01"),
        statistics: Some(Arc::from(r#"{"numRecords":3}"#)),
    };
    assert_eq!(listing.files().collect::<Vec<_>>(), [&file]);
    log.write(2, SECOND);
    assert_eq!(log.follow(&mut listing), Followed::ToTheEnd);
    let names: Vec<(&str, Option<Day>)> = listing
        .files()
        .map(|file| (file.path.as_str(), file.part))
        .collect();
    assert_eq!(names, [("day=2026-04-02/b.parquet", None)]);
    assert!(listing.is_newest(log.0.path()));
}

#[test]
fn what_cannot_be_followed_is_not() {
    let check = |text: &str| {
        let (log, mut listing) = (Log::new(), at_the_begin());
        log.write(1, text);
        assert_eq!(log.follow(&mut listing), Followed::NotFurther, "{text}");
    };
    check(r#"{"metaData":{"id":"x"}}"#);
    check(r#"{"protocol":{"minReaderVersion":3}}"#);
    check(r#"{"remove":{"path":"day=2026%2D04/a.parquet"}}"#);
    check(r#"{"add":{"path":"s3://elsewhere/a.parquet","partitionValues":{},"size":1}}"#);
    check(
        r#"{"add":{"path":"a.parquet","partitionValues":{},"size":1,"deletionVector":{"storageType":"u"}}}"#,
    );
    check("half a li");
    // The commit that it is of is gone, and so may be those after it.
    let (log, mut listing) = (Log::new(), at_the_begin());
    fs::remove_file(commit(log.0.path(), 0)).unwrap();
    assert_eq!(log.follow(&mut listing), Followed::NotFurther);
}
