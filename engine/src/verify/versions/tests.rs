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
    }
}

/// The column that is at fault; `None`: none.
fn fault(mut rows: Vec<Row>) -> Option<&'static str> {
    rows.sort_unstable();
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
fn a_read_that_is_there_twice_is_a_finding() {
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
