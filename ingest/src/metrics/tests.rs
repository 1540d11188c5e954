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

#[test]
fn the_rate_is_an_average_over_the_last_ten_seconds() {
    let metrics = IngestMetrics::default();
    let start = Instant::now();
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    assert_eq!(metrics.reads_per_second(at(0)), 0.0);
    let read = |reads| {
        metrics.add(&Tally {
            reads,
            ..Tally::default()
        });
    };
    read(500);
    assert_eq!(metrics.reads_per_second(at(1)), 500.0);
    assert_eq!(metrics.reads_per_second(at(2)), 250.0);
    read(1_000);
    assert_eq!(metrics.reads_per_second(at(3)), 500.0);
    assert_eq!(metrics.reads_per_second(at(60)), 0.0);
    assert_eq!(metrics.reads_per_second(at(61)), 0.0);
}
