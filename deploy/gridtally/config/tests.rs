use super::*;

fn load(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gridtally.toml");
    std::fs::write(&path, file).unwrap();
    let sources = Sources {
        file: Some(&path),
        flags: flags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    };
    let env = |name: &str| {
        env.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    Config::load(&sources, env).map_err(|error| error.to_string().replace(path.to_str().unwrap(), "FILE"))
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = "zone = \"UTC\"\n[log]\ncommit_delay_ms = 3\nsegment_bytes = 1000000\n";
    let env = [
        ("GRIDTALLY_LOG_COMMIT_DELAY_MS", "4"),
        ("GRIDTALLY_LOG_COMMIT_BYTES", "7"),
    ];
    let config = load(file, &env, &[("log.commit_bytes", "8")]).unwrap();
    let values = [
        "zone",
        "log.segment_bytes",
        "log.commit_delay_ms",
        "log.commit_bytes",
        "engine.tick_ms",
    ];
    assert_eq!(
        values.map(|key| config.text(key)),
        ["UTC", "1000000", "4", "8", "1000"]
    );
}

#[test]
fn a_wrong_value_names_key_value_origin_and_reason() {
    let check = |config: Config, expected: &str| {
        let error = config
            .whole("log.commit_delay_ms", 0..=1_000)
            .map(|_| ())
            .and(config.clock().map(|_| ()))
            .unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let delay = |value| load("", &[("GRIDTALLY_LOG_COMMIT_DELAY_MS", value)], &[]).unwrap();
    check(
        delay("soon"),
        "`log.commit_delay_ms` = `soon` (from environment GRIDTALLY_LOG_COMMIT_DELAY_MS) cannot be used: a whole number is needed",
    );
    check(
        delay("9999"),
        "`log.commit_delay_ms` = `9999` (from environment GRIDTALLY_LOG_COMMIT_DELAY_MS) cannot be used: 0 to 1000 are possible",
    );
    check(
        load("", &[], &[("now", "yesterday")]).unwrap(),
        "`now` = `yesterday` (from command line) cannot be used: an instant (2026-04-01T00:00:00+05:30) or an offset (-36h, +90m, \
         -200d) is needed",
    );
}

#[test]
fn an_unknown_key_is_refused_wherever_it_stands() {
    assert_eq!(
        load("[log]\nsegment = 3\n", &[], &[]).unwrap_err(),
        "FILE sets `log.segment`, which is no configuration key; `gridtally check-config` lists them all"
    );
    assert_eq!(
        load("", &[], &[("log.segment", "3")]).unwrap_err(),
        "command line sets `log.segment`, which is no configuration key; `gridtally check-config` lists them all"
    );
}

#[test]
fn a_secret_is_never_shown() {
    let config = load("[ingest.subscribe]\npassword = \"hush\"\n", &[], &[]).unwrap();
    assert!(config.shown().all(|(_, value, _)| !value.contains("hush")));
    assert!(
        !config
            .refuse("ingest.subscribe.password", "no")
            .to_string()
            .contains("hush")
    );
}

#[test]
fn gateways_come_from_the_file() {
    let config = load(
        "[[ingest.gateways]]\nid = \"hes-1\"\nmeters = [\"M1\", \"M2\"]\n",
        &[],
        &[],
    )
    .unwrap();
    assert_eq!(
        config.gateways,
        [GatewayEntry {
            id: "hes-1".into(),
            meters: vec!["M1".into(), "M2".into()]
        }]
    );
    assert!(
        load("[[ingest.gateways]]\nname = \"hes-1\"\n", &[], &[])
            .unwrap_err()
            .starts_with("`ingest.gateways` in FILE")
    );
}

#[test]
fn offsets_have_a_sign_and_a_unit() {
    let cases = [
        ("-36h", Some(-129_600_000_000)),
        ("+90m", Some(5_400_000_000)),
        ("36h", None),
        ("-h", None),
        ("+1w", None),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(parse_offset_micros(text), expected, "{text}");
    }
}

#[test]
fn every_key_has_its_own_name_and_variable() {
    for (at, key) in KEYS.iter().enumerate() {
        // Scripts rely on this one by its short name (CONTRACT section 5).
        let expected = if key.path == "compensation.regulation" {
            "GRIDTALLY_REGULATION".to_owned()
        } else {
            format!("GRIDTALLY_{}", key.path.to_uppercase().replace('.', "_"))
        };
        assert_eq!(key.env, expected);
        assert!(KEYS[..at].iter().all(|other| other.path != key.path));
    }
}

#[test]
fn event_codes_come_from_the_file_over_the_built_in_ones() {
    let map = |file: &str| {
        let config = load(file, &[], &[])?;
        crate::serve::event_map(&config).map_err(|error| error.to_string())
    };
    let vendor = "[[events.codes]]\ncode = 9101\nmeaning = \"power failure\"\n";
    let known = map(vendor).unwrap();
    assert_eq!(
        (known.meaning(9101), known.meaning(101)),
        (Some("power failure"), Some("power failure"))
    );
    let own = map(&format!("[events]\nbuilt_in = false\n{vendor}")).unwrap();
    assert_eq!(own.codes().collect::<Vec<_>>(), [(9101, "power failure", true)]);
    assert_eq!(
        map(&format!("{vendor}{vendor}")).unwrap_err(),
        "`events.codes` in the configuration file: code 9101 stands twice, and would mean both `power failure` and `power failure`"
    );
    assert!(
        map("[[events.codes]]\ncode = \"x\"\n")
            .unwrap_err()
            .starts_with("`events.codes` in FILE: ")
    );
}
