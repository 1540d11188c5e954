use super::*;

#[test]
fn a_batch_is_added_once() {
    let metrics = IngestMetrics::default();
    let batch = Tally {
        reads: 3,
        publishes_qos1: 1,
        ..Tally::default()
    };
    metrics.add(&batch);
    metrics.add(&batch);
    assert_eq!(metrics.totals().reads, 6);
    assert_eq!(metrics.totals().publishes_qos1, 2);
    assert_eq!(metrics.totals().events, 0);
    assert!(
        metrics
            .totals()
            .counters()
            .contains(&("reads", "Interval reads appended to the log.", 6))
    );
}

#[test]
fn open_connections_go_up_and_down_and_the_total_only_up() {
    let metrics = IngestMetrics::default();
    metrics.connection_opened();
    metrics.connection_opened();
    metrics.connection_closed();
    assert_eq!(metrics.connections_open(), 1);
    assert_eq!(metrics.totals().connections, 2);
}

/// Questions at these seconds, each after so many more reads: what is answered.
fn rates(questions: &[(u64, u64)]) -> Vec<f64> {
    let metrics = IngestMetrics::default();
    let start = Instant::now();
    let ask = |(second, reads): &(u64, u64)| {
        metrics.add(&Tally {
            reads: *reads,
            ..Tally::default()
        });
        metrics.reads_per_second(start + Duration::from_secs(*second))
    };
    questions.iter().map(ask).collect()
}

#[test]
fn the_rate_is_an_average_over_the_last_ten_seconds() {
    assert_eq!(rates(&[(0, 7)]), [0.0]);
    assert_eq!(
        rates(&[(0, 0), (1, 500), (2, 0), (3, 1_000)]),
        [0.0, 500.0, 250.0, 500.0]
    );
    // Asked every second: 1,000 reads of the first second leave the average when they are more than ten seconds old.
    let mut steady: Vec<(u64, u64)> = (0..=12).map(|second| (second, 0)).collect();
    steady[1].1 = 1_000;
    let answers = rates(&steady);
    assert_eq!((answers[1], answers[5], answers[10]), (1_000.0, 200.0, 100.0));
    assert_eq!(answers[11..], [0.0, 0.0]);
}

#[test]
fn after_a_long_silence_the_rate_is_the_average_since_it_was_last_asked() {
    // 57 s unasked, in which 5,700 reads came: 100 a second, neither 0 nor 570.
    assert_eq!(rates(&[(0, 0), (3, 300), (60, 5_700)]), [0.0, 100.0, 100.0]);
    // The silence does not weigh on what follows.
    assert_eq!(
        rates(&[(0, 0), (3, 300), (60, 0), (61, 40)]),
        [0.0, 100.0, 0.0, 40.0]
    );
}
