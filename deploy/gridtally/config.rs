//! Configuration: one table of keys, each with a default, an environment variable and a place in the TOML file.
//!
//! Flags win over the environment, the environment over the file, the file over defaults. A value that cannot be used is
//! refused with its key, where it came from and why. What is in force is printed at start, secrets masked.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use gridtally_engine::vee::CategoryLimits;
use gridtally_schemas::{Clock, UtcMicros, Zone};

mod keys;
#[cfg(test)]
mod tests;

pub(crate) use keys::{KEYS, Key};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {path} cannot be read")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("configuration file {path} is not TOML")]
    Toml {
        path: PathBuf,
        #[source]
        source: toml::de::Error,
    },
    /// A key that no version of gridtally has.
    #[error("{origin} sets `{key}`, which is no configuration key; `gridtally check-config` lists them all")]
    UnknownKey { key: String, origin: Origin },
    /// A value that cannot be used.
    #[error("`{key}` = `{value}` (from {origin}) cannot be used: {reason}")]
    Value {
        key: &'static str,
        value: String,
        origin: Origin,
        reason: String,
    },
    /// A part of the file with another form than documented.
    #[error("`{key}` in {path}: {reason}")]
    Form {
        key: String,
        path: PathBuf,
        reason: String,
    },
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(PathBuf),
    Environment(&'static str),
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// A gateway and the meters enrolled behind it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayEntry {
    /// Its id, as in its topic.
    pub(crate) id: String,
    /// Meters that it may speak for; empty: any.
    #[serde(default)]
    pub(crate) meters: Vec<String>,
}

/// A regulation that is in force from a day on.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegulationEntry {
    /// A preset that the binary carries.
    pub(crate) preset: Option<String>,
    /// A file of one's own.
    pub(crate) file: Option<String>,
    /// First day on which it is in force; left out: its own.
    pub(crate) valid_from: Option<String>,
    /// The node under which it holds; left out: everywhere.
    pub(crate) node: Option<String>,
}

/// What an event code of a vendor means.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventCode {
    /// The code.
    pub(crate) code: i32,
    /// One of the meanings that gridtally knows, or `none`.
    pub(crate) meaning: String,
}

/// Who is told of outages.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookEntry {
    /// Its name in routes and metrics; how far it has come is kept under it.
    pub(crate) name: String,
    /// Where notices are sent.
    pub(crate) url: String,
    /// Secrets to sign with, `whsec_…`; several while they are changed.
    pub(crate) secrets: Vec<String>,
    /// Kinds of notices that it wants; empty: all.
    #[serde(default)]
    pub(crate) events: Vec<String>,
    /// Whether it may be told without TLS beyond this machine.
    #[serde(default)]
    pub(crate) allow_http: bool,
}

impl fmt::Debug for WebhookEntry {
    /// Without its secrets, and without an address that may hold one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookEntry({})", self.name)
    }
}

/// Who may publish by MQTT with a key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublisherEntry {
    /// Id of the meter or gateway, which is its user name.
    pub(crate) name: String,
    /// SHA-256 of its key, as `gridtally mqtt-key` prints it.
    pub(crate) hash: String,
}

/// Who may ask by PostgreSQL's protocol.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PgUser {
    /// The name.
    pub(crate) name: String,
    /// What `gridtally pg-password` prints.
    pub(crate) verifier: String,
    /// Its role.
    #[serde(default = "auditor")]
    pub(crate) role: String,
    /// The node that it sees, with all below it; left out: everything.
    pub(crate) area: Option<String>,
}

/// The role of who says none.
fn auditor() -> String {
    "auditor".to_owned()
}

/// Who may ask with an API key.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessKeyEntry {
    /// By what name the log calls it.
    pub(crate) name: String,
    /// What `gridtally access-key` prints beside the key.
    pub(crate) hash: String,
    /// Its roles.
    pub(crate) roles: Vec<String>,
    /// The node that it sees, with all below it; left out: everything.
    pub(crate) area: Option<String>,
    /// When it ends: an instant with offset; left out: never.
    pub(crate) expires: Option<String>,
}

impl fmt::Debug for AccessKeyEntry {
    /// Without the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessKeyEntry({})", self.name)
    }
}

impl fmt::Debug for PgUser {
    /// Without the verifier.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PgUser({})", self.name)
    }
}

/// All values as text, each with its origin, and the lists of the file.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    values: BTreeMap<&'static str, (String, Origin)>,
    /// `[[ingest.gateways]]` of the file.
    pub(crate) gateways: Vec<GatewayEntry>,
    /// `[[mqtt.publishers]]` of the file.
    pub(crate) publishers: Vec<PublisherEntry>,
    /// `[[vee.categories]]` of the file.
    pub(crate) vee_categories: Vec<CategoryLimits>,
    /// `[[regulations]]` of the file.
    pub(crate) regulations: Vec<RegulationEntry>,
    /// The file.
    pub(crate) file: Option<PathBuf>,
    /// `[[events.codes]]` of the file.
    pub(crate) event_codes: Vec<EventCode>,
    /// `[[webhooks.endpoints]]` of the file.
    pub(crate) webhooks: Vec<WebhookEntry>,
    /// `[[pg.users]]` of the file.
    pub(crate) pg_users: Vec<PgUser>,
    /// `[[access.keys]]` of the file.
    pub(crate) access_keys: Vec<AccessKeyEntry>,
}

/// What configuration is read from.
#[derive(Debug, Default)]
pub(crate) struct Sources<'a> {
    /// `--config`.
    pub(crate) file: Option<&'a Path>,
    /// `--set key=value` and the flags that stand for a key, in order.
    pub(crate) flags: Vec<(String, String)>,
}

impl Config {
    /// Reads defaults, file, environment (through `env`) and flags.
    pub(crate) fn load(
        sources: &Sources<'_>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let defaults = KEYS
            .iter()
            .map(|key| (key.path, (key.default.to_owned(), Origin::Default)));
        let mut config = Self {
            values: defaults.collect(),
            gateways: Vec::new(),
            publishers: Vec::new(),
            vee_categories: Vec::new(),
            regulations: Vec::new(),
            file: sources.file.map(Path::to_owned),
            event_codes: Vec::new(),
            webhooks: Vec::new(),
            pg_users: Vec::new(),
            access_keys: Vec::new(),
        };
        if let Some(path) = sources.file {
            config.read_file(path)?;
        }
        for key in KEYS {
            if let Some(value) = env(key.env) {
                config
                    .values
                    .insert(key.path, (value, Origin::Environment(key.env)));
            }
        }
        for (path, value) in &sources.flags {
            let key = Key::find(path).ok_or_else(|| ConfigError::UnknownKey {
                key: path.clone(),
                origin: Origin::Flag,
            })?;
            config.values.insert(key.path, (value.clone(), Origin::Flag));
        }
        Ok(config)
    }

    fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut table: toml::Table = text.parse().map_err(|source| ConfigError::Toml {
            path: path.to_owned(),
            source,
        })?;
        let form = |key: &str, reason: &str| ConfigError::Form {
            key: key.to_owned(),
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        if let Some(gateways) = take_list(&mut table, "ingest", "gateways") {
            self.gateways = gateways
                .try_into()
                .map_err(|error: toml::de::Error| form("ingest.gateways", error.message()))?;
        }
        if let Some(publishers) = take_list(&mut table, "mqtt", "publishers") {
            self.publishers = publishers
                .try_into()
                .map_err(|error: toml::de::Error| form("mqtt.publishers", error.message()))?;
        }
        if let Some(codes) = take_list(&mut table, "events", "codes") {
            self.event_codes = codes
                .try_into()
                .map_err(|error: toml::de::Error| form("events.codes", error.message()))?;
        }
        if let Some(endpoints) = take_list(&mut table, "webhooks", "endpoints") {
            self.webhooks = endpoints
                .try_into()
                .map_err(|error: toml::de::Error| form("webhooks.endpoints", error.message()))?;
        }
        if let Some(users) = take_list(&mut table, "pg", "users") {
            self.pg_users = users
                .try_into()
                .map_err(|error: toml::de::Error| form("pg.users", error.message()))?;
        }
        if let Some(keys) = take_list(&mut table, "access", "keys") {
            self.access_keys = keys
                .try_into()
                .map_err(|error: toml::de::Error| form("access.keys", error.message()))?;
        }
        if let Some(categories) = take_list(&mut table, "vee", "categories") {
            self.vee_categories = categories
                .try_into()
                .map_err(|error: toml::de::Error| form("vee.categories", error.message()))?;
            if self
                .vee_categories
                .iter()
                .any(|limits| limits.category.is_empty())
            {
                return Err(form("vee.categories", "each needs a `category`"));
            }
        }
        if let Some(regulations) = table.remove("regulations") {
            self.regulations = regulations
                .try_into()
                .map_err(|error: toml::de::Error| form("regulations", error.message()))?;
        }
        self.read_table("", &table, path)
    }

    fn read_table(&mut self, prefix: &str, table: &toml::Table, path: &Path) -> Result<(), ConfigError> {
        for (name, value) in table {
            let full = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            let text = match value {
                toml::Value::Table(inner) => {
                    self.read_table(&full, inner, path)?;
                    continue;
                }
                toml::Value::String(text) => text.clone(),
                toml::Value::Array(_) => {
                    let reason = "a list cannot stand here".to_owned();
                    return Err(ConfigError::Form {
                        key: full,
                        path: path.to_owned(),
                        reason,
                    });
                }
                toml::Value::Integer(_)
                | toml::Value::Float(_)
                | toml::Value::Boolean(_)
                | toml::Value::Datetime(_) => value.to_string(),
            };
            let origin = Origin::File(path.to_owned());
            let key = Key::find(&full).ok_or(ConfigError::UnknownKey {
                key: full,
                origin: origin.clone(),
            })?;
            self.values.insert(key.path, (text, origin));
        }
        Ok(())
    }

    /// Every key with its value and origin, secrets masked.
    pub(crate) fn shown(&self) -> impl Iterator<Item = (&'static Key, String, &Origin)> {
        KEYS.iter().filter_map(|key| {
            let (value, origin) = self.values.get(key.path)?;
            let shown = if key.secret && !value.is_empty() {
                "********".to_owned()
            } else {
                value.clone()
            };
            Some((key, shown, origin))
        })
    }

    fn raw(&self, path: &'static str) -> (&str, &Origin) {
        self.values
            .get(path)
            .map_or(("", &Origin::Default), |(value, origin)| (value.as_str(), origin))
    }

    /// The value of a key as text.
    pub(crate) fn text(&self, path: &'static str) -> &str {
        self.raw(path).0
    }

    /// The value of a key as text; `None` when it is empty.
    pub(crate) fn text_if_set(&self, path: &'static str) -> Option<&str> {
        Some(self.text(path)).filter(|text| !text.is_empty())
    }

    /// An error that names this key, its value and where it came from.
    pub(crate) fn refuse(&self, path: &'static str, reason: impl Into<String>) -> ConfigError {
        let (value, origin) = self.raw(path);
        let secret = Key::find(path).is_some_and(|key| key.secret);
        let value = if secret {
            "********".to_owned()
        } else {
            value.to_owned()
        };
        ConfigError::Value {
            key: path,
            value,
            origin: origin.clone(),
            reason: reason.into(),
        }
    }

    /// The value of a key, parsed.
    pub(crate) fn get<T: FromStr<Err: fmt::Display>>(&self, path: &'static str) -> Result<T, ConfigError> {
        self.raw(path)
            .0
            .trim()
            .parse()
            .map_err(|error: T::Err| self.refuse(path, error.to_string()))
    }

    /// A whole number of units within `range`.
    pub(crate) fn whole(
        &self,
        path: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, ConfigError> {
        let text = self.raw(path).0.trim().replace('_', "");
        let value: u64 = text
            .parse()
            .map_err(|_| self.refuse(path, "a whole number is needed"))?;
        if range.contains(&value) {
            Ok(value)
        } else {
            Err(self.refuse(path, format!("{} to {} are possible", range.start(), range.end())))
        }
    }

    /// As [`Self::whole`], for counts of things in memory.
    pub(crate) fn count(
        &self,
        path: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<usize, ConfigError> {
        let value = self.whole(path, range)?;
        usize::try_from(value).map_err(|_| self.refuse(path, "too large for this machine"))
    }

    /// A duration given in milliseconds.
    pub(crate) fn millis(
        &self,
        path: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<Duration, ConfigError> {
        self.whole(path, range).map(Duration::from_millis)
    }

    /// A duration given in seconds.
    pub(crate) fn seconds(
        &self,
        path: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<Duration, ConfigError> {
        self.whole(path, range).map(Duration::from_secs)
    }

    /// A socket address to listen on; port 0 picks a free one.
    pub(crate) fn listen(&self, path: &'static str) -> Result<SocketAddr, ConfigError> {
        self.raw(path)
            .0
            .parse()
            .map_err(|_| self.refuse(path, "an address and port are needed, such as 127.0.0.1:1883"))
    }

    /// The discom's zone.
    pub(crate) fn zone(&self) -> Result<Zone, ConfigError> {
        Zone::named(self.text("zone")).map_err(|reason| self.refuse("zone", reason))
    }

    /// The clock: the machine's, shifted by an offset such as `-36h`, or standing still at an instant.
    pub(crate) fn clock(&self) -> Result<Clock, ConfigError> {
        let Some(text) = self.text_if_set("now") else {
            return Ok(Clock::system(0));
        };
        if let Some(offset) = parse_offset_micros(text) {
            return Ok(Clock::system(offset));
        }
        UtcMicros::parse(text).map(Clock::fixed).map_err(|_| {
            self.refuse(
                "now",
                "an instant (2026-04-01T00:00:00+05:30) or an offset (-36h, +90m, -200d) is needed",
            )
        })
    }
}

fn take_list(table: &mut toml::Table, part: &str, name: &str) -> Option<toml::Value> {
    match table.get_mut(part) {
        Some(toml::Value::Table(part)) => part.remove(name),
        Some(_) | None => None,
    }
}

/// `-36h`, `+90m`, `-200d`, `+5s` in microseconds.
fn parse_offset_micros(text: &str) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (number, unit) = rest.split_at_checked(rest.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number
        .parse::<i64>()
        .ok()?
        .checked_mul(seconds * 1_000_000 * sign)
}
