//! The front with a stand-in for the worker that is prepared where it is told to be; every line it reads is noted with its process.

use std::{collections::BTreeMap, path::Path, time::Duration};

use futures::StreamExt;
use tokio::time::Instant;

use super::{
    super::{Format, Sql, SqlConfig, SqlError, tests as front},
    KEPT_FOR, SETTLE, Step, Warm,
};

const LONG: Duration = Duration::from_secs(60);

/// Notes each line, answers `{"prepare"…` with R, and any other with `after`.
fn script(notes: &Path, after: &str) -> String {
    format!(
        "while read line; do echo \"$$ $line\" >> {}; case \"$line\" in '{{\"prepare\"'*) printf R;; *) {after};; esac; done",
        notes.display()
    )
}

fn warm_front(script: &str, deadline: Duration) -> Sql {
    let sql = Sql::new(SqlConfig {
        workers_warm: 1,
        ..front::sql(script, deadline, 2).config().clone()
    });
    sql.start_ahead();
    sql
}

fn empty_answer() -> String {
    front::frame('D', r#"{"rows":0,"truncated":false}"#)
}

async fn ask(sql: &Sql) -> Result<(), SqlError> {
    let mut answer = sql.query("SELECT 1", Format::Json, None).await?;
    while let Some(part) = answer.next().await {
        part?;
    }
    Ok(())
}

/// Waits until a worker waits.
async fn ready(sql: &Sql) {
    let begin = Instant::now();
    while sql.warm() == 0 {
        assert!(begin.elapsed() < LONG, "no worker waits");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a process has ended, with its pipes closed; one that nobody has waited for yet is a zombie (`Z`, proc(5)).
async fn ended(process: u32) {
    let begin = Instant::now();
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    };
    while state().is_some_and(|state| state != 'Z') {
        assert!(begin.elapsed() < LONG, "process {process} still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What each process was told, by its number.
fn told(notes: &Path) -> BTreeMap<u32, Vec<String>> {
    let mut told: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for line in std::fs::read_to_string(notes).unwrap().lines() {
        let (process, line) = line.split_once(' ').unwrap();
        told.entry(process.parse().unwrap())
            .or_default()
            .push(line.to_owned());
    }
    told
}

#[tokio::test]
async fn a_worker_that_waited_is_asked_once_and_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let sql = warm_front(&script(&notes, &empty_answer()), LONG);
    ask(&sql).await.unwrap();
    for _ in 0..3 {
        ready(&sql).await;
        ask(&sql).await.unwrap();
    }
    front::idle(&sql).await;
    let told = told(&notes);
    let questions = |lines: &[String]| {
        lines
            .iter()
            .filter(|line| line.starts_with("{\"answer\""))
            .count()
    };
    assert!(told.values().all(|lines| questions(lines) <= 1), "{told:?}");
    let of_waiting = told
        .values()
        .filter(|lines| lines.len() == 2 && questions(lines) == 1);
    assert_eq!(of_waiting.count(), 3, "{told:?}");
    // What a worker is told before it is asked says nothing of who will ask.
    for line in told
        .values()
        .flatten()
        .filter(|line| line.starts_with("{\"prepare\""))
    {
        let keys: serde_json::Value = serde_json::from_str(line).unwrap();
        let keys: Vec<&str> = keys["prepare"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, ["memory_bytes", "spill_directory", "tables_root", "zone"]);
    }
}

#[tokio::test]
async fn one_that_died_while_it_waited_is_not_asked() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let sql = warm_front(&script(&notes, &empty_answer()), LONG);
    ask(&sql).await.unwrap();
    ready(&sql).await;
    let waiting = told(&notes)
        .into_iter()
        .find(|(_, lines)| lines[0].starts_with("{\"prepare\""));
    let waiting = waiting.unwrap().0;
    let killed = std::process::Command::new("kill")
        .args(["-9", &waiting.to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    ended(waiting).await;
    ask(&sql).await.unwrap();
}

#[tokio::test]
async fn one_that_waited_is_killed_at_its_deadline_and_when_its_client_goes() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let sql = warm_front(&script(&notes, "exec sleep 600"), Duration::from_millis(300));
    for _ in 0..2 {
        let error = ask(&sql).await.unwrap_err();
        assert!(matches!(error, SqlError::Deadline { .. }), "{error:?}");
        ready(&sql).await;
    }
    assert!(
        tokio::time::timeout(Duration::from_millis(50), ask(&sql))
            .await
            .is_err()
    );
    front::idle(&sql).await;
}

#[tokio::test]
async fn those_that_wait_end_with_the_front() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let sql = warm_front(&script(&notes, &empty_answer()), LONG);
    ask(&sql).await.unwrap();
    ready(&sql).await;
    drop(sql);
    for process in told(&notes).into_keys() {
        ended(process).await;
    }
}

#[test]
fn workers_are_started_while_questions_come_and_let_go_after_the_last() {
    let warm = Warm::new(2);
    let now = Instant::now();
    assert_eq!(warm.step(now, 0), Step::Wait(None));
    assert!(warm.take().is_none());
    let asked = Instant::now();
    assert_eq!(warm.step(asked, 0), Step::Start);
    // Beside the question that runs only after a while.
    assert!(matches!(warm.step(asked, 1), Step::Wait(Some(at)) if at <= asked + SETTLE));
    assert_eq!(warm.step(asked + SETTLE, 1), Step::Start);
    assert_eq!(warm.step(asked + KEPT_FOR, 0), Step::Wait(None));
    // None are wanted, none are started.
    let none = Warm::new(0);
    assert!(none.take().is_none());
    assert_eq!(none.step(Instant::now(), 0), Step::Wait(None));
}
