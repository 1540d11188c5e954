use super::*;

fn row(version: i64, revision: i32, import_wh: u32) -> Row {
    Row {
        rank: Rank {
            quality: Quality::Actual,
            revision,
            captured_at: None,
            content: (import_wh, None, None, None, None),
        },
        version,
        received_at: 9,
    }
}

/// The column that is at fault; `None`: none.
fn fault(mut rows: Vec<Row>) -> Option<&'static str> {
    rows.sort_unstable_by_key(Row::order);
    fault_of(&rows).map(|fault| fault.column)
}

#[test]
fn versions_that_follow_the_rank_are_right() {
    assert_eq!(fault(vec![row(1, 0, 10)]), None);
    assert_eq!(fault(vec![row(1, 0, 10), row(2, 1, 5)]), None);
    assert_eq!(
        fault(vec![row(1, 1, 10), row(0, 0, 99)]),
        None,
        "a read that lost"
    );
    assert_eq!(fault(vec![row(1, 0, 10), row(0, 1, 1), row(2, 2, 3)]), None);
}

#[test]
fn versions_that_say_otherwise_than_the_rank_are_a_finding() {
    let wrong = Some("version");
    assert_eq!(fault(vec![row(2, 0, 10)]), wrong, "the first is missing");
    assert_eq!(fault(vec![row(0, 0, 10)]), wrong, "a read that lost to nothing");
    assert_eq!(
        fault(vec![row(2, 0, 10), row(1, 1, 5)]),
        wrong,
        "the lesser is newer"
    );
    assert_eq!(
        fault(vec![row(1, 0, 10), row(0, 1, 5)]),
        wrong,
        "the greater never stood"
    );
    assert_eq!(fault(vec![row(1, 0, 10), row(1, 1, 5)]), wrong);
    assert_eq!(fault(vec![row(1, 0, 10), row(3, 1, 5)]), wrong, "a gap");
}

#[test]
fn a_read_that_is_there_twice_is_a_finding_unless_it_came_again_sooner() {
    let at = |received_at, row: Row| Row { received_at, ..row };
    let [stood, lost] = [row(1, 0, 10), row(0, 0, 10)];
    assert_eq!(fault(vec![stood, at(3, lost), at(2, lost)]), None);
    assert_eq!(fault(vec![at(3, lost), stood, row(2, 1, 5)]), None);
    assert_eq!(fault(vec![stood, at(3, lost), at(3, lost)]), Some("row"));
    assert_eq!(
        fault(vec![stood, at(3, row(2, 0, 10))]),
        Some("row"),
        "it stood twice"
    );
    assert_eq!(fault(vec![row(1, 0, 10), row(0, 0, 10)]), Some("row"));
    assert_eq!(
        fault(vec![row(1, 0, 10), row(2, 1, 5), row(2, 1, 5)]),
        Some("row")
    );
}

#[test]
fn rank_goes_by_quality_then_revision_then_capture_then_content() {
    let base = row(1, 0, 10).rank;
    let order = [
        Rank {
            quality: Quality::Estimated,
            revision: 9,
            ..base
        },
        base,
        Rank {
            content: (10, Some(0), None, None, None),
            ..base
        },
        Rank {
            content: (11, None, None, None, None),
            ..base
        },
        Rank {
            captured_at: Some(-5),
            ..base
        },
        Rank {
            captured_at: Some(7),
            content: (0, None, None, None, None),
            ..base
        },
        Rank { revision: 1, ..base },
        Rank {
            quality: Quality::Edited,
            content: (0, None, None, None, None),
            ..base
        },
    ];
    assert!(order.is_sorted());
}

fn derived(version: i64, quality: Quality, import_wh: u32) -> Row {
    let mut row = row(version, 0, import_wh);
    row.rank.quality = quality;
    row
}

#[test]
fn estimates_follow_one_another_whatever_they_say_and_give_way_to_a_read() {
    let estimate = |version, wh| derived(version, Quality::Estimated, wh);
    let gone = |version| derived(version, Quality::Missing, 0);
    assert_eq!(fault(vec![estimate(1, 9)]), None);
    assert_eq!(
        fault(vec![estimate(1, 9), estimate(2, 5)]),
        None,
        "a lesser one later"
    );
    assert_eq!(
        fault(vec![estimate(1, 9), gone(2), estimate(3, 9)]),
        None,
        "the same again"
    );
    assert_eq!(fault(vec![estimate(1, 9), row(2, 0, 3), row(3, 1, 2)]), None);
    assert_eq!(fault(vec![estimate(1, 9), row(2, 1, 3), row(0, 0, 2)]), None);
    let wrong = Some("version");
    assert_eq!(
        fault(vec![row(1, 0, 3), estimate(2, 9)]),
        wrong,
        "an estimate after a read"
    );
    assert_eq!(fault(vec![estimate(0, 9)]), wrong, "an estimate that never stood");
    assert_eq!(fault(vec![estimate(1, 9), estimate(1, 8)]), wrong);
    assert_eq!(fault(vec![estimate(1, 9), row(1, 0, 3)]), wrong);
}

#[test]
fn the_newest_estimate_stands_until_somebody_says_a_value() {
    let valid = |mut rows: Vec<Row>| {
        rows.sort_unstable_by_key(Row::order);
        rows.last().map(|row| (row.rank.quality, row.rank.content.0))
    };
    let estimates = [
        derived(2, Quality::Estimated, 5),
        derived(1, Quality::Estimated, 9),
    ];
    assert_eq!(valid(estimates.to_vec()), Some((Quality::Estimated, 5)));
    let withdrawn = [estimates[0], derived(3, Quality::Missing, 0)];
    assert_eq!(valid(withdrawn.to_vec()), Some((Quality::Missing, 0)));
    let said = [estimates[0], row(3, 0, 4), row(0, 0, 3)];
    assert_eq!(valid(said.to_vec()), Some((Quality::Actual, 4)));
}
