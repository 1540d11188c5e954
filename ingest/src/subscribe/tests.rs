use super::*;

#[test]
fn pauses_double_up_to_their_bound_and_begin_anew_after_success() {
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(1));
    let mut next = || backoff.next().as_millis();
    assert_eq!([next(), next(), next(), next()], [250, 500, 1_000, 1_000]);
    backoff.reset();
    assert_eq!(backoff.next().as_millis(), 250);
}

#[test]
fn a_configuration_that_cannot_be_is_refused() {
    let check = |change: fn(&mut SubscribeConfig), expected: &str| {
        let mut config = SubscribeConfig::new("localhost", 1883, "gridtally-1");
        change(&mut config);
        let found = config
            .check()
            .map_or_else(|error| error.to_string(), |()| String::new());
        assert_eq!(found, expected);
    };
    check(|_| {}, "");
    check(|config| config.group.clear(), "");
    check(|config| config.keep_alive = Duration::from_secs(5), "");
    check(
        |config| config.host.clear(),
        "subscriber configuration: host and port of the broker are required",
    );
    check(
        |config| config.client_id.clear(),
        "subscriber configuration: client_id is required: the broker keeps the session under it",
    );
    check(
        |config| config.group = "a/b".into(),
        "subscriber configuration: group must be a name without / + #",
    );
    check(
        |config| config.receive_maximum = 0,
        "subscriber configuration: receive_maximum must be at least 1",
    );
    check(
        |config| config.packet_bytes_max = 64 * 1024 * 1024,
        "subscriber configuration: packet_bytes_max must be from 1 KiB to 32 MiB",
    );
    check(
        |config| config.pending_bytes_max = 1,
        "subscriber configuration: pending_bytes_max must be no less than packet_bytes_max",
    );
    check(
        |config| config.keep_alive = Duration::from_millis(4_999),
        "subscriber configuration: keep_alive must be from 5 s to 65535 s",
    );
    check(
        |config| config.reconnect_min = Duration::ZERO,
        "subscriber configuration: pauses must be above zero, and reconnect_min no more than reconnect_max",
    );
}

#[test]
fn the_password_is_not_shown() {
    let mut config = SubscribeConfig::new("localhost", 1883, "gridtally-1");
    config.password = Some("hunter2".into());
    assert!(!format!("{config:?}").contains("hunter2"));
}
