//! Workers that are started before there is a question.

use std::{io::Read, thread::JoinHandle};

use super::{super::super::protocol::AreaOf, area, *};

/// A worker in a thread, prepared and not asked yet.
struct Ahead {
    orders: std::io::PipeWriter,
    said: PipeReader,
    running: JoinHandle<ExitCode>,
}

impl Ahead {
    fn of(root: &Path) -> Self {
        let (input, mut orders) = pipe().unwrap();
        let (mut said, output) = pipe().unwrap();
        let running = std::thread::spawn(move || run(input, output));
        let preparation = Order::Prepare(Preparation {
            tables_root: root.to_owned(),
            memory_bytes: 64 << 20,
            zone: "Asia/Kolkata".to_owned(),
            spill_directory: Some(root.parent().unwrap().join("spill")),
        });
        orders.write_all(&preparation.line().unwrap()).unwrap();
        let mut ready = [0];
        said.read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"R");
        Self {
            orders,
            said,
            running,
        }
    }

    /// Everything that it says to these questions.
    fn ask(mut self, requests: &[&Request]) -> Answer {
        for request in requests {
            let order = Order::Answer(Box::new((*request).clone()));
            self.orders.write_all(&order.line().unwrap()).unwrap();
        }
        let mut bytes = Vec::new();
        self.said.read_to_end(&mut bytes).unwrap();
        assert_eq!(self.running.join().unwrap(), ExitCode::SUCCESS);
        read_answer(&bytes)
    }
}

fn append(root: &Path, meter: &str, position: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let tables = Tables::open(root).await.unwrap();
        let reads = rows(
            &INTERVAL_READS,
            &[
                ("meter_id", texts(&[meter])),
                ("interval_end", longs(&[900])),
                ("version", longs(&[1])),
            ],
        );
        tables
            .append(&INTERVAL_READS, reads, Position(position))
            .await
            .unwrap();
    });
}

const COUNT: &str = "SELECT count(*) FROM interval_reads";

#[test]
fn a_question_sees_what_was_committed_just_before_it() {
    let folder = published();
    let root = folder.path().join("tables");
    let (after_one, after_many) = (Ahead::of(&root), Ahead::of(&root));
    append(&root, "later", 10);
    assert_eq!(after_one.ask(&[&request(&root, COUNT)]).single(), 3);
    // Beyond a checkpoint of the table's log, by which a reader that begins anew would begin.
    for position in 11..75 {
        append(&root, &format!("m{position}"), position);
    }
    assert_eq!(after_many.ask(&[&request(&root, COUNT)]).single(), 67);
}

#[test]
fn a_question_sees_tables_that_were_not_there_before_and_files_that_were_compacted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tables");
    let before_tables = Ahead::of(&root);
    append(&root, "a", 1);
    assert_eq!(before_tables.ask(&[&request(&root, COUNT)]).single(), 1);
    append(&root, "b", 2);
    let before_compaction = Ahead::of(&root);
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let tables = Tables::open(&root).await.unwrap();
        let days = gridtally_schemas::Day::parse("2100-01-01").unwrap();
        tables.compact(&INTERVAL_READS, days).await.unwrap();
        tables
            .vacuum(&INTERVAL_READS, std::time::Duration::ZERO)
            .await
            .unwrap();
    });
    assert_eq!(before_compaction.ask(&[&request(&root, COUNT)]).single(), 2);
}

#[test]
fn what_it_prepares_leaves_nothing_behind_but_its_own_folder() {
    let folder = published();
    let root = folder.path().join("tables");
    let ours = format!("gridtally-sql-{}-", std::process::id());
    let named_so = || {
        let names = std::fs::read_dir(std::env::temp_dir()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(&ours)).count()
    };
    let before = named_so();
    let ahead = Ahead::of(&root);
    assert_eq!(named_so(), before);
    assert!(folder.path().join("spill").exists(), "the session is made ahead");
    assert_eq!(ahead.ask(&[&request(&root, COUNT)]).single(), 2);
}

#[test]
fn it_answers_one_question_and_no_second() {
    let folder = published();
    let root = folder.path().join("tables");
    let first = request(&root, "SELECT 1");
    let second = request(&root, "SELECT 2");
    // What it says has one end, and nothing behind it.
    assert_eq!(Ahead::of(&root).ask(&[&first, &second]).single(), 1);
}

#[test]
fn the_area_is_that_of_the_question() {
    let folder = area::town();
    let root = folder.path().join("tables");
    let whole = request(&root, "SELECT meter_id FROM interval_reads");
    let part = Request {
        area: Some(AreaOf {
            node: "F1".to_owned(),
            at: 1_000,
        }),
        ..whole.clone()
    };
    assert_eq!(area::first(&Ahead::of(&root).ask(&[&part])), ["C1", "C2", "MF1"]);
    assert_eq!(area::first(&Ahead::of(&root).ask(&[&whole])).len(), 7);
}

#[test]
fn it_ends_when_nobody_can_ask_any_more() {
    let folder = published();
    let ahead = Ahead::of(&folder.path().join("tables"));
    drop(ahead.orders);
    assert_eq!(ahead.running.join().unwrap(), ExitCode::SUCCESS);
}
