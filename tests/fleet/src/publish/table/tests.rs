//! Tests of the table: nothing leaves it but by an answer.

use gridtally_schemas::wire::Encoding;

use super::*;

fn message(number: u64) -> Message {
    Message {
        topic: number.to_string(),
        encoding: Encoding::Json,
        payload: Vec::new(),
        reads: Vec::new(),
        events: number,
    }
}

/// A table of so many publishes, none given yet.
fn table(publishes: u64, now: Instant) -> Table {
    let mut table = Table::new(4);
    (0..publishes).for_each(|number| table.push(message(number), now));
    table
}

/// Gives what it may, and what was given.
fn given(table: &mut Table, now: Instant) -> Vec<u64> {
    let mut given = Vec::new();
    table.give(now, |message| {
        given.push(message.events);
        true
    });
    given
}

#[test]
fn a_publish_leaves_when_it_is_answered_and_in_no_other_way() {
    let now = Instant::now();
    let mut table = table(3, now);
    assert_eq!(given(&mut table, now), [0, 1, 2], "oldest first");
    assert!(given(&mut table, now).is_empty(), "each once");
    table.numbered(7);
    table.numbered(8);
    assert!(
        table.answered(9, Answer::Stored, now).is_none(),
        "nobody has this packet id"
    );
    let settled = table
        .answered(8, Answer::Stored, now + Duration::from_millis(5))
        .unwrap();
    assert_eq!(
        (settled.message.events, settled.took),
        (1, Duration::from_millis(5))
    );
    assert!(table.answered(8, Answer::Stored, now).is_none(), "answered once");
    let refused = table.answered(7, Answer::Refused, now).unwrap();
    assert_eq!((refused.message.events, refused.answer), (0, Answer::Refused));
    assert_eq!((table.len(), table.retries()), (1, 0));
}

#[test]
fn a_lost_connection_sends_all_again_in_the_old_order() {
    let now = Instant::now();
    let mut table = table(3, now);
    given(&mut table, now);
    table.numbered(1);
    table.numbered(2);
    assert_eq!(table.oldest_sent(), Some(now));
    table.lost(now);
    assert_eq!(table.oldest_sent(), None);
    assert!(
        table.answered(1, Answer::Stored, now).is_none(),
        "an answer of the old connection"
    );
    assert_eq!(given(&mut table, now), [0, 1, 2]);
    assert_eq!(table.retries(), 3);
}

#[test]
fn what_the_broker_cannot_take_now_rests_and_is_sent_again() {
    let now = Instant::now();
    let mut table = table(2, now);
    given(&mut table, now);
    table.numbered(1);
    table.numbered(2);
    assert!(table.answered(1, Answer::Later, now).is_none());
    assert!(given(&mut table, now).is_empty());
    assert_eq!(table.len(), 2);
    assert_eq!(given(&mut table, now + LATER), [0]);
    table.numbered(3);
    assert_eq!(
        table
            .answered(3, Answer::Stored, now + LATER)
            .unwrap()
            .message
            .events,
        0
    );
}

#[test]
fn a_client_that_takes_no_more_is_given_the_rest_later() {
    let now = Instant::now();
    let mut table = table(4, now);
    assert!(table.is_full());
    let mut room = 2;
    table.give(now, |_| {
        room -= 1;
        room >= 0
    });
    assert_eq!(given(&mut table, now), [2, 3]);
}
