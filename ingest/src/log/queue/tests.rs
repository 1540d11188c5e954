use super::*;

const DELAY: Duration = Duration::from_millis(10);
const COMMIT_BYTES: usize = 100;

fn waiting(bytes: usize, waited: Option<Duration>) -> (Waiting, Instant) {
    let start = Instant::now();
    let waiting = Waiting {
        entries: vec![0; bytes],
        room: bytes,
        last: Position(1),
        since: waited.map(|_| start),
        log_bytes: 0,
        closed: false,
        failure: None,
    };
    (waiting, start + waited.unwrap_or_default())
}

fn check(bytes: usize, waited: Option<Duration>, expected: &Due) {
    let (waiting, now) = waiting(bytes, waited);
    assert_eq!(waiting.due(now, DELAY, COMMIT_BYTES), *expected);
}

#[test]
fn a_commit_is_due_by_age_or_by_size() {
    check(0, None, &Due::WhenAppended);
    check(10, Some(Duration::ZERO), &Due::In(DELAY));
    check(10, Some(DELAY * 2 / 5), &Due::In(DELAY * 3 / 5));
    check(10, Some(DELAY), &Due::Now);
    check(10, Some(DELAY * 9), &Due::Now);
    check(99, Some(Duration::ZERO), &Due::In(DELAY));
    check(100, Some(Duration::ZERO), &Due::Now);
}

#[test]
fn a_closed_queue_commits_the_rest_at_once_and_then_ends() {
    let (mut rest, now) = waiting(10, Some(Duration::ZERO));
    rest.closed = true;
    assert_eq!(rest.due(now, DELAY, COMMIT_BYTES), Due::Now);
    rest.since = None;
    assert_eq!(rest.due(now, DELAY, COMMIT_BYTES), Due::Never);
}

#[test]
fn a_poisoned_queue_commits_nothing() {
    let (mut poisoned, now) = waiting(1_000, Some(DELAY));
    poisoned.failure = Some(Arc::new(LogError::Panicked));
    assert_eq!(poisoned.due(now, DELAY, COMMIT_BYTES), Due::Never);
}

#[test]
fn nothing_is_delayed_behind_a_commit_that_took_longer_than_the_delay() {
    assert_eq!(delay_after(Duration::ZERO, DELAY), DELAY);
    assert_eq!(delay_after(DELAY - Duration::from_nanos(1), DELAY), DELAY);
    assert_eq!(delay_after(DELAY, DELAY), Duration::ZERO);
}
