//! Every configuration key.

/// One key: its place in the TOML file, its environment variable, its default and what it decides.
#[derive(Debug)]
pub(crate) struct Key {
    /// Place in the file, such as `log.bytes_max`.
    pub(crate) path: &'static str,
    /// Environment variable.
    pub(crate) env: &'static str,
    /// Value when nobody says otherwise.
    pub(crate) default: &'static str,
    /// What it decides, with its unit.
    pub(crate) about: &'static str,
    /// Masked wherever it is shown.
    pub(crate) secret: bool,
}

impl Key {
    /// The key with this path.
    pub(crate) fn find(path: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.path == path)
    }
}

const fn key(path: &'static str, env: &'static str, default: &'static str, about: &'static str) -> Key {
    Key {
        path,
        env,
        default,
        about,
        secret: false,
    }
}

/// All keys, in the order in which they are shown.
pub(crate) const KEYS: &[Key] = &[
    key(
        "data_dir",
        "GRIDTALLY_DATA_DIR",
        "gridtally-data",
        "folder of log and tables",
    ),
    key(
        "zone",
        "GRIDTALLY_ZONE",
        "Asia/Kolkata",
        "zone of civil days and months (IANA name)",
    ),
    key(
        "now",
        "GRIDTALLY_NOW",
        "",
        "clock: an instant at which it stands still, or an offset such as -36h; empty: the machine's",
    ),
    key(
        "mqtt.listen",
        "GRIDTALLY_MQTT_LISTEN",
        "127.0.0.1:1883",
        "address of the MQTT endpoint; port 0 picks a free one",
    ),
    key(
        "mqtt.open",
        "GRIDTALLY_MQTT_OPEN",
        "false",
        "true: listen for MQTT beyond loopback although publishers are not authenticated",
    ),
    key(
        "mqtt.connections_max",
        "GRIDTALLY_MQTT_CONNECTIONS_MAX",
        "50000",
        "most open MQTT connections",
    ),
    key(
        "mqtt.packet_bytes_max",
        "GRIDTALLY_MQTT_PACKET_BYTES_MAX",
        "1048576",
        "largest MQTT packet, bytes",
    ),
    key(
        "mqtt.connect_seconds_max",
        "GRIDTALLY_MQTT_CONNECT_SECONDS_MAX",
        "10",
        "a connection without CONNECT is closed after this, seconds",
    ),
    key(
        "http.listen",
        "GRIDTALLY_HTTP_LISTEN",
        "127.0.0.1:8080",
        "address of API and page; port 0 picks a free one",
    ),
    key(
        "http.open",
        "GRIDTALLY_HTTP_OPEN",
        "false",
        "true: listen for HTTP beyond loopback although callers are not authenticated",
    ),
    key(
        "http.import_bytes_max",
        "GRIDTALLY_HTTP_IMPORT_BYTES_MAX",
        "4294967296",
        "largest file that POST /api/v1/import takes, bytes",
    ),
    key(
        "pg.listen",
        "GRIDTALLY_PG_LISTEN",
        "127.0.0.1:5433",
        "address of SQL by PostgreSQL's protocol; port 0 picks a free one; empty: off",
    ),
    key(
        "pg.open",
        "GRIDTALLY_PG_OPEN",
        "false",
        "true: listen for PostgreSQL's protocol beyond loopback; set [[pg.users]] and a certificate there",
    ),
    key(
        "pg.tls_certificate",
        "GRIDTALLY_PG_TLS_CERTIFICATE",
        "",
        "certificate chain (PEM) for PostgreSQL's protocol; empty: no TLS. With one, clients beyond loopback must use it",
    ),
    key("pg.tls_key", "GRIDTALLY_PG_TLS_KEY", "", "its private key (PEM)"),
    key(
        "pg.connections_max",
        "GRIDTALLY_PG_CONNECTIONS_MAX",
        "100",
        "sessions of PostgreSQL's protocol at a time",
    ),
    key(
        "pg.idle_seconds",
        "GRIDTALLY_PG_IDLE_SECONDS",
        "3600",
        "a session that says nothing for so long is ended, seconds",
    ),
    key(
        "log.commit_delay_ms",
        "GRIDTALLY_LOG_COMMIT_DELAY_MS",
        "10",
        "group commit: longest wait before a sync, milliseconds",
    ),
    key(
        "log.commit_bytes",
        "GRIDTALLY_LOG_COMMIT_BYTES",
        "1048576",
        "group commit: bytes that force a sync",
    ),
    key(
        "log.segment_bytes",
        "GRIDTALLY_LOG_SEGMENT_BYTES",
        "134217728",
        "size of a log segment, bytes",
    ),
    key(
        "log.bytes_max",
        "GRIDTALLY_LOG_BYTES_MAX",
        "8589934592",
        "bound of the log, bytes; beyond it publishes are refused with 0x97",
    ),
    key(
        "engine.tick_ms",
        "GRIDTALLY_ENGINE_TICK_MS",
        "1000",
        "pause between computations of balances, milliseconds",
    ),
    key(
        "engine.checkpoint_seconds",
        "GRIDTALLY_ENGINE_CHECKPOINT_SECONDS",
        "30",
        "pause between commits to the tables, seconds",
    ),
    key(
        "engine.checkpoint_rows",
        "GRIDTALLY_ENGINE_CHECKPOINT_ROWS",
        "2000000",
        "reads that force a commit to the tables",
    ),
    key(
        "tables.compact_minutes",
        "GRIDTALLY_TABLES_COMPACT_MINUTES",
        "5",
        "pause between compactions of the tables, minutes",
    ),
    key(
        "tables.versions_kept_hours",
        "GRIDTALLY_TABLES_VERSIONS_KEPT_HOURS",
        "48",
        "for how long older Delta versions of the tables can be read, hours; rows stay for good",
    ),
    key(
        "engine.grace_minutes",
        "GRIDTALLY_ENGINE_GRACE_MINUTES",
        "10",
        "a balance is published this long after its interval, minutes",
    ),
    key(
        "engine.settlement_hours",
        "GRIDTALLY_ENGINE_SETTLEMENT_HOURS",
        "72",
        "a published balance is final after this, hours",
    ),
    key(
        "engine.held_bytes_max",
        "GRIDTALLY_ENGINE_HELD_BYTES_MAX",
        "268435456",
        "memory of what unknown meters said, bytes; what exceeds it waits in the quarantine table",
    ),
    key(
        "engine.state_bytes_max",
        "GRIDTALLY_ENGINE_STATE_BYTES_MAX",
        "3221225472",
        "memory of values and balances, bytes; beyond it the oldest settled days wait in the tables and come back for late reads",
    ),
    key(
        "engine.coverage_threshold_pct",
        "GRIDTALLY_ENGINE_COVERAGE_THRESHOLD_PCT",
        "95",
        "below this coverage no loss is shown as a plain number, per cent",
    ),
    key(
        "events.built_in",
        "GRIDTALLY_EVENTS_BUILT_IN",
        "true",
        "true: event codes mean what IS 15959 says where [[events.codes]] of the file does not say otherwise; false: only those are known",
    ),
    key(
        "outage.momentary_minutes",
        "GRIDTALLY_OUTAGE_MOMENTARY_MINUTES",
        "3",
        "an interruption is sustained when it lasts longer than this, minutes (Rules 2020 as amended; IEEE 1366: 5)",
    ),
    key(
        "outage.together_minutes",
        "GRIDTALLY_OUTAGE_TOGETHER_MINUTES",
        "5",
        "how far apart the clocks of meters may put one moment, minutes",
    ),
    key(
        "outage.share_pct",
        "GRIDTALLY_OUTAGE_SHARE_PCT",
        "50",
        "a DT is out when more than this share of its consumers is, a feeder when that share of its DTs is, per cent",
    ),
    key(
        "outage.heard_hours",
        "GRIDTALLY_OUTAGE_HEARD_HOURS",
        "48",
        "a meter can be heard when it said anything within this time before or after, hours",
    ),
    key(
        "compensation.regulation",
        "GRIDTALLY_REGULATION",
        "",
        "regulation on compensation in force where [[regulations]] names none by date: a preset's name, or a TOML file; empty: none",
    ),
    key(
        "compensation.approval",
        "GRIDTALLY_COMPENSATION_APPROVAL",
        "none",
        "none: billing gets an entry when it is due; two_people: only after one person has proposed and another approved it",
    ),
    key(
        "revenue.audit_loss_pct",
        "GRIDTALLY_REVENUE_AUDIT_LOSS_PCT",
        "15",
        "a feeder's loss of a month above this calls for an audit, per cent",
    ),
    key(
        "revenue.arrears_jump_pct",
        "GRIDTALLY_REVENUE_ARREARS_JUMP_PCT",
        "10",
        "arrears are suspected in a month whose billing rate is this far above the median of the year's other months, per cent",
    ),
    key(
        "revenue.rounds_ratio",
        "GRIDTALLY_REVENUE_ROUNDS_RATIO",
        "false",
        "whether the ratio of two years' revenue realised is rounded to two decimals before last year's rate is carried on",
    ),
    key(
        "outage.estimate_outages_min",
        "GRIDTALLY_OUTAGE_ESTIMATE_OUTAGES_MIN",
        "5",
        "an estimate of restoration rests on at least so many past outages of the same scope and fault type, else of the same scope",
    ),
    key(
        "outage.estimate_outages_max",
        "GRIDTALLY_OUTAGE_ESTIMATE_OUTAGES_MAX",
        "50",
        "and on at most so many: those that ended last; 0: nothing is estimated",
    ),
    key(
        "outage.estimate_days",
        "GRIDTALLY_OUTAGE_ESTIMATE_DAYS",
        "365",
        "which ended at most so long before the outage began, days",
    ),
    key(
        "vee.estimate_after_hours",
        "GRIDTALLY_VEE_ESTIMATE_AFTER_HOURS",
        "24",
        "a day's gaps are exceptions and are estimated this long after its end, hours; never: they are neither",
    ),
    key(
        "vee.too_old_days",
        "GRIDTALLY_VEE_TOO_OLD_DAYS",
        "",
        "a read goes to quarantine when its interval ended this long before it came, days; empty: none does",
    ),
    key(
        "vee.holidays",
        "GRIDTALLY_VEE_HOLIDAYS",
        "",
        "public holidays, whose load is like that of other holidays: dates with commas, such as 2026-01-26,2026-08-15",
    ),
    key(
        "vee.capacity_factor",
        "GRIDTALLY_VEE_CAPACITY_FACTOR",
        "2",
        "an interval may hold this many times what sanctioned load or rating carry",
    ),
    key(
        "vee.spike_factor",
        "GRIDTALLY_VEE_SPIKE_FACTOR",
        "5",
        "a spike is this many times the meter's fourth highest interval of two days",
    ),
    key(
        "vee.stuck_hours",
        "GRIDTALLY_VEE_STUCK_HOURS",
        "12",
        "the same non-zero energy for this long is stuck, hours",
    ),
    key(
        "vee.zero_hours",
        "GRIDTALLY_VEE_ZERO_HOURS",
        "24",
        "no energy for this long while the DT's meter counts is a long zero, hours",
    ),
    key(
        "vee.register_tolerance_pct",
        "GRIDTALLY_VEE_REGISTER_TOLERANCE_PCT",
        "1",
        "a day's intervals may differ from its register difference by this, per cent",
    ),
    key(
        "vee.voltage_min_v",
        "GRIDTALLY_VEE_VOLTAGE_MIN_V",
        "144",
        "lowest plausible voltage of a low-tension connection, V",
    ),
    key(
        "vee.voltage_max_v",
        "GRIDTALLY_VEE_VOLTAGE_MAX_V",
        "300",
        "highest plausible voltage of a low-tension connection, V",
    ),
    key(
        "vee.negative_balance_pct",
        "GRIDTALLY_VEE_NEGATIVE_BALANCE_PCT",
        "3",
        "a DT's daily loss may be this far below zero, per cent of what was injected",
    ),
    key(
        "vee.mapping_days",
        "GRIDTALLY_VEE_MAPPING_DAYS",
        "7",
        "wrong mappings are looked for in windows of this many days, the first from a Monday on",
    ),
    key(
        "vee.mapping_better_by_pct",
        "GRIDTALLY_VEE_MAPPING_BETTER_BY_PCT",
        "100",
        "a meter's voltage moves more with one DT than another when the odds of its correlation exceed the other's by this, per cent",
    ),
    key(
        "vee.mapping_follows_min_pct",
        "GRIDTALLY_VEE_MAPPING_FOLLOWS_MIN_PCT",
        "50",
        "a DT's residual follows a meter when it changes by this share of its energy, per cent",
    ),
    key(
        "webhooks.source",
        "GRIDTALLY_WEBHOOKS_SOURCE",
        "/gridtally",
        "who tells, as the attribute `source` of CloudEvents: a URI reference of this instance; receivers are [[webhooks.endpoints]]",
    ),
    key(
        "webhooks.timeout_seconds",
        "GRIDTALLY_WEBHOOKS_TIMEOUT_SECONDS",
        "15",
        "a receiver that has not answered after this has failed, seconds",
    ),
    key(
        "webhooks.notice_seconds",
        "GRIDTALLY_WEBHOOKS_NOTICE_SECONDS",
        "5",
        "a new outage of a DT or wider is published, and so told, this long after the last checkpoint, seconds; never: with the next",
    ),
    key(
        "webhooks.retry_first_ms",
        "GRIDTALLY_WEBHOOKS_RETRY_FIRST_MS",
        "5000",
        "pause after the first failure, which doubles with each, milliseconds",
    ),
    key(
        "webhooks.retry_max_seconds",
        "GRIDTALLY_WEBHOOKS_RETRY_MAX_SECONDS",
        "3600",
        "longest pause, seconds",
    ),
    key(
        "webhooks.attempts_max",
        "GRIDTALLY_WEBHOOKS_ATTEMPTS_MAX",
        "100",
        "a notice is a dead letter after so many attempts",
    ),
    key(
        "webhooks.give_up_hours",
        "GRIDTALLY_WEBHOOKS_GIVE_UP_HOURS",
        "72",
        "or this long after the first attempt, hours",
    ),
    key(
        "webhooks.ca_file",
        "GRIDTALLY_WEBHOOKS_CA_FILE",
        "",
        "certificates (PEM) to trust beside the system's; empty: none",
    ),
    key(
        "ingest.subscribe.host",
        "GRIDTALLY_INGEST_SUBSCRIBE_HOST",
        "",
        "host of an existing MQTT 5 broker to read from; empty: none",
    ),
    key(
        "ingest.subscribe.port",
        "GRIDTALLY_INGEST_SUBSCRIBE_PORT",
        "1883",
        "port of that broker",
    ),
    key(
        "ingest.subscribe.username",
        "GRIDTALLY_INGEST_SUBSCRIBE_USERNAME",
        "",
        "user name at that broker",
    ),
    Key {
        path: "ingest.subscribe.password",
        env: "GRIDTALLY_INGEST_SUBSCRIBE_PASSWORD",
        default: "",
        about: "password at that broker",
        secret: true,
    },
    key(
        "ingest.subscribe.client_id",
        "GRIDTALLY_INGEST_SUBSCRIBE_CLIENT_ID",
        "gridtally",
        "client id at that broker; keep it, for the session is found by it",
    ),
    key(
        "ingest.subscribe.group",
        "GRIDTALLY_INGEST_SUBSCRIBE_GROUP",
        "gridtally",
        "name of the shared subscription; empty: an ordinary one, which mosquitto keeps over its restart",
    ),
    key(
        "sql.deadline_seconds",
        "GRIDTALLY_SQL_DEADLINE_SECONDS",
        "30",
        "an ad-hoc query is ended after this, seconds",
    ),
    key(
        "sql.memory_bytes",
        "GRIDTALLY_SQL_MEMORY_BYTES",
        "1073741824",
        "memory of an ad-hoc query, bytes; beyond it spills to disk",
    ),
    key(
        "sql.rows_max",
        "GRIDTALLY_SQL_ROWS_MAX",
        "100000",
        "most rows that an ad-hoc query returns",
    ),
    key(
        "sql.workers_max",
        "GRIDTALLY_SQL_WORKERS_MAX",
        "4",
        "ad-hoc queries at a time",
    ),
    key(
        "trace",
        "GRIDTALLY_TRACE",
        "warn,gridtally=info",
        "what is logged to standard error: error, warn, info, debug, or a filter such as warn,gridtally_ingest=debug",
    ),
    key("trace_format", "GRIDTALLY_TRACE_FORMAT", "text", "text or json"),
];
