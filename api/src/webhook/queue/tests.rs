use super::*;

const SECOND: i64 = 1_000_000;

const PATIENCE: Patience = Patience {
    first_micros: 2 * SECOND,
    longest_micros: 60 * SECOND,
    attempts_max: 4,
    give_up_micros: 1_000 * SECOND,
};

fn at(seconds: i64) -> UtcMicros {
    UtcMicros(seconds * SECOND)
}

fn notice(sequence: i64, about: &str) -> Notice {
    Notice {
        sequence,
        id: format!("id-{sequence}"),
        kind: if sequence % 10 == 0 { "unwanted" } else { "wanted" },
        about: about.to_owned(),
        body: Vec::new(),
    }
}

fn queue(about: &[&str]) -> Queue {
    let mut queue = Queue::new(
        Standing::default(),
        PATIENCE,
        BTreeSet::from(["wanted".to_owned()]),
    );
    queue.take_over(
        (1..)
            .zip(about)
            .map(|(sequence, about)| notice(sequence, about))
            .collect(),
    );
    queue
}

fn refused(error: &str) -> Failure {
    Failure {
        error: error.to_owned(),
        is_gone: false,
        retry_after_micros: None,
    }
}

/// Begins everything that is due.
fn begun(queue: &mut Queue, now: UtcMicros) -> Vec<i64> {
    let mut begun = Vec::new();
    while let Next::Send(sequence) = queue.next(now) {
        assert!(queue.begin(sequence).is_some());
        begun.push(sequence);
    }
    begun
}

#[test]
fn what_is_about_one_thing_goes_in_order_and_what_is_about_another_does_not_wait() {
    let mut queue = queue(&["A", "A", "B", "A", "C"]);
    assert_eq!(begun(&mut queue, at(0)), [1, 3, 5]);
    queue.failed(1, at(0), &refused("503"), 0);
    queue.delivered(3);
    assert_eq!(
        begun(&mut queue, at(0)),
        [0; 0],
        "2 waits for 1, which waits for its time"
    );
    assert_eq!(queue.next(at(0)), Next::Wait(Some(at(1))));
    assert_eq!(begun(&mut queue, at(1)), [1]);
    queue.delivered(1);
    assert_eq!(begun(&mut queue, at(1)), [2]);
    queue.delivered(2);
    assert_eq!(begun(&mut queue, at(1)), [4]);
    queue.delivered(4);
    queue.delivered(5);
    assert_eq!(
        queue.standing,
        Standing {
            cursor: 5,
            ..Standing::default()
        }
    );
}

#[test]
fn pauses_double_with_half_left_to_chance_and_a_receiver_that_asks_for_more_gets_it() {
    let check = |attempts, jitter, seconds| {
        assert_eq!(
            pause_micros(PATIENCE, attempts, jitter),
            seconds * SECOND,
            "{attempts} {jitter}"
        );
    };
    check(1, 0, 1);
    check(1, 1_000, 2);
    check(2, 0, 2);
    check(3, 1_000, 8);
    check(6, 1_000, 60);
    check(4_000_000_000, 0, 30);
    let mut queue = queue(&["A"]);
    begun(&mut queue, at(0));
    let asks = Failure {
        retry_after_micros: Some(90 * SECOND),
        ..refused("429")
    };
    assert_eq!(queue.failed(1, at(0), &asks, 0), Verdict::Retry(at(90)));
}

#[test]
fn what_failed_too_often_or_too_long_is_a_dead_letter_and_the_next_goes() {
    let mut queue = queue(&["A", "A"]);
    let mut now = 0;
    for attempt in 1..=4 {
        assert_eq!(begun(&mut queue, at(now)), [1], "attempt {attempt}");
        let verdict = queue.failed(1, at(now), &refused("500"), 0);
        assert_eq!(verdict == Verdict::Dead, attempt == 4, "{verdict:?}");
        now += 100;
    }
    let letter = &queue.standing.dead[&1];
    assert_eq!(
        (letter.attempts, letter.error.as_str(), letter.about.as_str()),
        (4, "500", "A")
    );
    assert_eq!(begun(&mut queue, at(now)), [2]);
    // The second asks for a pause beyond the time that is allowed.
    let late = Failure {
        retry_after_micros: Some(1_001 * SECOND),
        ..refused("503")
    };
    assert_eq!(queue.failed(2, at(now), &late, 0), Verdict::Dead);
    assert_eq!(queue.send_again(Some(&BTreeSet::from([2, 7]))), 1);
    assert_eq!(queue.to_load_back(), BTreeSet::from([2]));
    queue.load_back(&BTreeSet::from([2]), vec![notice(2, "A")]);
    assert_eq!(begun(&mut queue, at(now)), [2]);
    queue.delivered(2);
    assert_eq!(queue.standing.dead.keys().collect::<Vec<_>>(), [&1]);
    assert_eq!(queue.send_again(None), 1);
}

#[test]
fn with_as_many_dead_letters_as_may_be_nothing_is_given_up() {
    let mut queue = queue(&["A"]);
    let letter = DeadLetter {
        id: String::new(),
        about: String::new(),
        attempts: 1,
        given_up_at: at(0),
        error: String::new(),
    };
    let dead = (0..).take(DEAD_MAX).map(|count| (-1 - count, letter.clone()));
    queue.standing.dead = dead.collect();
    for attempt in 0..10 {
        assert_eq!(begun(&mut queue, at(attempt * 100)), [1]);
        let verdict = queue.failed(1, at(attempt * 100), &refused("500"), 0);
        assert!(matches!(verdict, Verdict::Retry(_)), "{verdict:?}");
    }
    assert_eq!(queue.standing.open, BTreeSet::from([1]));
}

#[test]
fn a_receiver_that_is_gone_is_sent_nothing_until_it_is_enabled_and_then_all_of_it() {
    let mut queue = queue(&["A", "B"]);
    assert_eq!(begun(&mut queue, at(0)), [1, 2]);
    queue.delivered(2);
    let gone = Failure {
        is_gone: true,
        ..refused("410 Gone")
    };
    assert_eq!(queue.failed(1, at(0), &gone, 0), Verdict::Disabled);
    assert_eq!(
        (queue.next(at(900)), queue.to_take_over()),
        (Next::Wait(None), None)
    );
    queue.enable();
    assert_eq!(begun(&mut queue, at(900)), [1]);
    assert_eq!(queue.to_take_over(), Some((2, WINDOW_MAX - 1)));
}

#[test]
fn no_more_is_in_memory_than_the_window_holds_and_a_restart_goes_on_where_it_stood() {
    let all = |from: i64, count: usize| -> Vec<Notice> {
        (from..)
            .take(count)
            .map(|sequence| notice(sequence, &format!("O{sequence}")))
            .collect()
    };
    let mut queue = queue(&[]);
    let mut newest = 0;
    while let Some((cursor, room)) = queue.to_take_over() {
        assert_eq!(cursor, newest);
        queue.take_over(all(cursor + 1, room));
        newest = queue.standing.cursor;
    }
    assert!(
        queue.waiting() <= WINDOW_MAX && queue.waiting() > WINDOW_MAX - TAKE_OVER_MIN,
        "{}",
        queue.waiting()
    );
    assert_eq!(begun(&mut queue, at(0)).len(), SENDING_MAX);
    queue.delivered(1);
    queue.delivered(3);
    // Killed here: what stood on disk is what is gone on with, and nothing is taken over twice.
    let mut again = Queue::new(
        queue.standing.clone(),
        PATIENCE,
        BTreeSet::from(["wanted".to_owned()]),
    );
    let back = again.to_load_back();
    assert!(
        !back.contains(&1) && back.contains(&2) && !back.contains(&10),
        "{back:?}"
    );
    let notices = all(1, 400)
        .into_iter()
        .filter(|notice| back.contains(&notice.sequence));
    again.load_back(&back, notices.collect());
    assert_eq!(again.waiting(), queue.waiting());
    again.take_over(all(1, 400));
    assert_eq!(again.standing.cursor, 400);
    // What the source does not have any more would be waited for without end.
    again.standing.open.insert(-5);
    again.load_back(&BTreeSet::from([-5]), Vec::new());
    assert!(!again.standing.open.contains(&-5));
}
