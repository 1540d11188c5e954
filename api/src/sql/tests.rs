//! The front with stand-ins for the worker: small programs of the system. The real worker is tested end to end by the
//! binary's own tests, and in `worker/tests.rs`.

use std::{path::PathBuf, time::Duration};

use futures::StreamExt;
use gridtally_schemas::time::Zone;

use super::{Format, Sql, SqlConfig, SqlError, WAITING_PER_WORKER};

pub(super) fn sql(script: &str, deadline: Duration, workers_max: usize) -> Sql {
    Sql::new(SqlConfig {
        worker_exe: PathBuf::from("/bin/sh"),
        worker_args: vec!["-c".to_owned(), script.to_owned()],
        tables_root: PathBuf::from("/nonexistent"),
        memory_bytes: 64 << 20,
        rows_max: 10,
        deadline,
        workers_max,
        workers_per_caller: 256,
        workers_warm: 0,
        zone: Zone::kolkata(),
    })
}

/// A frame as a shell prints it: tag, four bytes of length, text.
pub(super) fn frame(tag: char, text: &str) -> String {
    let length = u8::try_from(text.len()).unwrap();
    format!("printf '{tag}\\{length:03o}\\000\\000\\000'; printf '%s' '{text}'")
}

const LONG: Duration = Duration::from_secs(60);

async fn error_of(sql: &Sql, statement: &str) -> SqlError {
    sql.query(statement, Format::Json, None).await.unwrap_err()
}

/// Waits until no worker runs, for at most ten seconds.
pub(super) async fn idle(sql: &Sql) {
    for _ in 0..1_000 {
        if sql.running() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a worker still runs");
}

#[tokio::test]
async fn a_refused_statement_starts_no_process() {
    let sql = Sql::new(SqlConfig {
        worker_exe: PathBuf::from("/nonexistent/worker"),
        ..sql("", LONG, 1).config().clone()
    });
    let error = error_of(&sql, "COPY nodes TO 'x.csv'").await;
    assert!(matches!(error, SqlError::Refused(_)), "{error:?}");
    assert!(error.is_callers_fault());
}

#[tokio::test]
async fn the_worker_is_told_the_query_and_answers() {
    let script = format!("read line; {}", frame('D', r#"{"rows":0,"truncated":false}"#));
    let sql = sql(&script, LONG, 1);
    let mut stream = sql.query("SELECT 1", Format::Json, None).await.unwrap();
    assert_eq!(stream.media_type(), "application/json");
    let text = stream.next().await.unwrap().unwrap();
    assert_eq!(
        &text[..],
        br#"{"columns":[],"rows":[],"published_at":null,"truncated":false,"rows_max":10,"deadline_seconds":60}"#
    );
    assert!(stream.next().await.is_none());
    idle(&sql).await;
}

/// Field 41 of a process's `stat` is 5 where it is scheduled as idle, 0 where it is not (proc(5), sched(7)).
#[tokio::test]
async fn a_worker_has_what_nobody_else_wants_once_queries_have_spent_their_allowance() {
    let failure = r#"{"kind":"execution","message":"'"$policy"'"}"#;
    let length = failure.len() - r#"'"$policy"'"#.len() + 1;
    let script = format!(
        "read line; policy=$(cut -d' ' -f41 /proc/$$/stat); printf 'E\\{length:03o}\\000\\000\\000'; printf '%s' '{failure}'"
    );
    let sql = sql(&script, LONG, 1);
    assert_eq!(error_of(&sql, "SELECT 1").await.to_string(), "0");
    sql.inner
        .all
        .allowance()
        .spend(Duration::from_secs(3_600), tokio::time::Instant::now());
    assert_eq!(error_of(&sql, "SELECT 1").await.to_string(), "5");
    idle(&sql).await;
}

#[tokio::test]
async fn a_result_that_is_cut_off_says_so_or_breaks_off() {
    let script = format!("read line; {}", frame('D', r#"{"rows":10,"truncated":true}"#));
    let sql = sql(&script, LONG, 1);
    for format in [Format::Csv, Format::Arrow] {
        let error = sql.query("SELECT 1", format, None).await.unwrap_err();
        assert!(
            matches!(error, SqlError::TooManyRows { rows_max: 10 }),
            "{error:?}"
        );
        assert!(error.is_callers_fault());
    }
    let rows = sql.rows("SELECT 1").await.unwrap();
    assert!(rows.truncated);
    idle(&sql).await;
}

#[tokio::test]
async fn a_failure_of_the_query_is_an_error_before_the_stream() {
    // The worker takes the query before it answers, as the real one does.
    let script = format!(
        "read query; {}",
        frame('E', r#"{"kind":"plan","message":"no such table"}"#)
    );
    let error = error_of(&sql(&script, LONG, 1), "SELECT * FROM x").await;
    assert_eq!(error.to_string(), "no such table");
    assert!(error.is_callers_fault());
}

#[tokio::test]
async fn a_worker_that_dies_is_an_error() {
    let error = error_of(&sql("exit 3", LONG, 1), "SELECT 1").await;
    assert!(matches!(&error, SqlError::Broken { .. }), "{error:?}");
    assert!(!error.is_callers_fault());
}

#[tokio::test]
async fn a_worker_that_is_too_slow_is_killed() {
    let sql = sql("exec sleep 600", Duration::from_millis(300), 1);
    let error = error_of(&sql, "SELECT 1").await;
    assert!(matches!(error, SqlError::Deadline { .. }), "{error:?}");
    idle(&sql).await;
}

#[tokio::test]
async fn a_query_whose_client_goes_is_killed() {
    let script = format!("{}; exec sleep 600", frame('A', ""));
    let sql = sql(&script, LONG, 1);
    let query = sql.query("SELECT 1", Format::Json, None);
    // The client waits for a moment and goes.
    assert!(
        tokio::time::timeout(Duration::from_millis(300), query)
            .await
            .is_err()
    );
    idle(&sql).await;
}

#[tokio::test]
async fn beyond_those_that_may_wait_queries_are_refused() {
    let sql = sql("exec sleep 600", LONG, 1);
    let admitted = WAITING_PER_WORKER + 1;
    let waiting: Vec<_> = (0..admitted)
        .map(|_| {
            let sql = sql.clone();
            tokio::spawn(async move { sql.query("SELECT 1", Format::Json, None).await.map(drop) })
        })
        .collect();
    while sql.running() + sql.waiting() < admitted {
        tokio::task::yield_now().await;
    }
    let error = error_of(&sql, "SELECT 1").await;
    assert!(matches!(error, SqlError::Busy { workers_max: 1 }), "{error:?}");
    assert_eq!((sql.running(), sql.waiting()), (1, WAITING_PER_WORKER));
    for task in waiting {
        task.abort();
    }
    idle(&sql).await;
}
