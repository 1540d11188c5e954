//! Settings of a session: what SET may change, and what SHOW says.
//!
//! SET changes what is harmless: names, the zone of times, a shorter time for queries. What would need something that is not there
//! (another encoding, another way to write dates, writing) is refused; what has no bearing here is kept and shown; what is not known is an
//! error, as in PostgreSQL. No setting widens a limit.

use std::{collections::BTreeMap, time::Duration};

use gridtally_schemas::time::Zone;

use super::problem::Problem;
use crate::sql::postgres::facts::{SERVER_VERSION, SERVER_VERSION_NUMBER};

/// Longest value of a setting, bytes.
const VALUE_BYTES_MAX: usize = 1_024;

/// Settings that clients are told of whenever they change.
pub(super) const REPORTED: &[&str] = &[
    "server_version",
    "server_encoding",
    "client_encoding",
    "application_name",
    "is_superuser",
    "session_authorization",
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "integer_datetimes",
    "standard_conforming_strings",
    "default_transaction_read_only",
    "in_hot_standby",
];

/// What may be done with a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Nothing: it says what is.
    Fixed,
    /// It is kept, and has no bearing.
    Kept,
    /// Only these values are possible, read without regard to case.
    OneOf(&'static [&'static str]),
    /// The zone of times.
    Zone,
    /// Dates are written as ISO 8601 has it.
    DateStyle,
    /// Milliseconds, or with a unit; 0: that of the server.
    Timeout,
}

/// Names, values at the start, and rules.
const SETTINGS: &[(&str, &str, Rule)] = &[
    ("server_version", SERVER_VERSION, Rule::Fixed),
    ("server_version_num", SERVER_VERSION_NUMBER, Rule::Fixed),
    ("server_encoding", "UTF8", Rule::Fixed),
    (
        "client_encoding",
        "UTF8",
        Rule::OneOf(&["UTF8", "UTF-8", "UNICODE"]),
    ),
    ("application_name", "", Rule::Kept),
    ("is_superuser", "off", Rule::Fixed),
    ("session_authorization", "", Rule::Fixed),
    ("DateStyle", "ISO, YMD", Rule::DateStyle),
    ("IntervalStyle", "postgres", Rule::OneOf(&["postgres"])),
    ("TimeZone", "", Rule::Zone),
    ("integer_datetimes", "on", Rule::Fixed),
    (
        "standard_conforming_strings",
        "on",
        Rule::OneOf(&["on", "true", "1"]),
    ),
    (
        "default_transaction_read_only",
        "on",
        Rule::OneOf(&["on", "true", "1"]),
    ),
    ("transaction_read_only", "on", Rule::OneOf(&["on", "true", "1"])),
    ("in_hot_standby", "on", Rule::Fixed),
    ("transaction_isolation", "repeatable read", Rule::Kept),
    ("default_transaction_isolation", "repeatable read", Rule::Kept),
    ("statement_timeout", "0", Rule::Timeout),
    ("extra_float_digits", "1", Rule::OneOf(&["1", "2", "3"])),
    ("bytea_output", "hex", Rule::OneOf(&["hex"])),
    ("search_path", "public", Rule::Kept),
    ("client_min_messages", "notice", Rule::Kept),
    ("lock_timeout", "0", Rule::Kept),
    ("idle_in_transaction_session_timeout", "0", Rule::Kept),
    ("idle_session_timeout", "0", Rule::Kept),
    ("row_security", "on", Rule::Kept),
    ("escape_string_warning", "on", Rule::Kept),
    ("backslash_quote", "safe_encoding", Rule::Kept),
    ("synchronize_seqscans", "on", Rule::Kept),
    ("quote_all_identifiers", "off", Rule::Kept),
    ("jit", "off", Rule::Kept),
    ("lc_collate", "C.UTF-8", Rule::Fixed),
    ("lc_ctype", "C.UTF-8", Rule::Fixed),
    ("lc_messages", "C.UTF-8", Rule::Kept),
    ("lc_monetary", "C.UTF-8", Rule::Kept),
    ("lc_numeric", "C.UTF-8", Rule::Kept),
    ("lc_time", "C.UTF-8", Rule::Kept),
    ("max_identifier_length", "63", Rule::Fixed),
    ("max_index_keys", "32", Rule::Fixed),
    ("default_tablespace", "", Rule::Kept),
    ("default_table_access_method", "heap", Rule::Kept),
    ("xmloption", "content", Rule::Kept),
    ("tcp_keepalives_idle", "0", Rule::Kept),
    ("tcp_keepalives_interval", "0", Rule::Kept),
];

/// The settings of one session.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    values: BTreeMap<&'static str, String>,
    /// What they are reset to.
    begun: BTreeMap<&'static str, String>,
    zone: Zone,
    timeout: Option<Duration>,
}

impl Settings {
    /// Those of a session that begins.
    pub(super) fn new(zone: &Zone, user: &str) -> Self {
        let mut values: BTreeMap<&'static str, String> = SETTINGS
            .iter()
            .map(|(name, value, _)| (*name, (*value).to_owned()))
            .collect();
        values.insert("TimeZone", zone.name().to_owned());
        values.insert("session_authorization", user.to_owned());
        Self {
            begun: values.clone(),
            values,
            zone: zone.clone(),
            timeout: None,
        }
    }

    /// What the client asked for when it connected is what RESET goes back to.
    pub(super) fn began(&mut self) {
        self.begun = self.values.clone();
    }

    /// The zone of times.
    pub(super) const fn zone(&self) -> &Zone {
        &self.zone
    }

    /// A shorter time for queries than the server's.
    pub(super) const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeMap<String, String> {
        self.values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }

    /// A setting's name as it is written, and its value.
    pub(super) fn get(&self, name: &str) -> Result<(&'static str, &str), Problem> {
        let name = match name.to_ascii_lowercase().as_str() {
            "time zone" => "TimeZone",
            "transaction isolation level" => "transaction_isolation",
            "session authorization" => "session_authorization",
            _ => name,
        };
        let (name, _, _) = find(name)?;
        Ok((*name, self.values.get(name).map_or("", String::as_str)))
    }

    /// SET name TO value; `None`: what it was at the start. Gives the name as it is written.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) -> Result<&'static str, Problem> {
        let (name, _, rule) = *find(name)?;
        let begun = self.begun.get(name).cloned().unwrap_or_default();
        let value = value.unwrap_or(&begun);
        let refused = |why: &str| {
            Problem::new(
                "22023",
                format!("invalid value for parameter \"{name}\": \"{value}\": {why}"),
            )
        };
        if value.len() > VALUE_BYTES_MAX {
            return Err(refused("it is too long"));
        }
        let mut kept = value.to_owned();
        match rule {
            Rule::Fixed if self.values.get(name).map(String::as_str) == Some(value) => {}
            Rule::Fixed => {
                return Err(Problem::new(
                    "55P02",
                    format!("parameter \"{name}\" cannot be changed"),
                ));
            }
            Rule::Kept => {}
            Rule::OneOf(possible) => {
                if !possible.iter().any(|one| one.eq_ignore_ascii_case(value)) {
                    if name.ends_with("read_only") {
                        return Err(Problem::new(
                            "25006",
                            "cannot set transaction read-write mode: SQL is for reading here",
                        ));
                    }
                    return Err(refused(&format!("possible here: {}", possible.join(", "))));
                }
                // Numbers say how many digits; words are written as the server writes them.
                if name != "extra_float_digits" {
                    kept = possible.first().copied().unwrap_or_default().to_owned();
                }
            }
            Rule::Zone => {
                self.zone =
                    zone(value).ok_or_else(|| refused("a zone's name is needed, such as Asia/Kolkata"))?
            }
            Rule::DateStyle => {
                let is_known = |word: &str| {
                    ["iso", "ymd", "mdy", "dmy"].contains(&word.trim().to_ascii_lowercase().as_str())
                };
                if !value.split(',').all(is_known) {
                    return Err(refused("dates are written as ISO here"));
                }
                kept = "ISO, YMD".to_owned();
            }
            Rule::Timeout => {
                let milliseconds = milliseconds(value).ok_or_else(|| refused("milliseconds are needed"))?;
                self.timeout = (milliseconds > 0).then(|| Duration::from_millis(milliseconds));
            }
        }
        if name == "TimeZone" {
            kept = self.zone.name().to_owned();
        }
        self.values.insert(name, kept);
        Ok(name)
    }

    /// RESET ALL; gives the names of those that changed.
    pub(super) fn reset(&mut self) -> Result<(), Problem> {
        let changeable: Vec<&'static str> = SETTINGS
            .iter()
            .filter(|(_, _, rule)| *rule != Rule::Fixed)
            .map(|(name, _, _)| *name)
            .collect();
        for name in changeable {
            self.set(name, None)?;
        }
        Ok(())
    }
}

fn find(name: &str) -> Result<&'static (&'static str, &'static str, Rule), Problem> {
    SETTINGS
        .iter()
        .find(|(known, _, _)| known.eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            Problem::new(
                "42704",
                format!("unrecognized configuration parameter \"{name}\""),
            )
        })
}

fn zone(name: &str) -> Option<Zone> {
    if ["utc", "gmt", "z", "etc/utc"].contains(&name.to_ascii_lowercase().as_str()) {
        return Some(Zone::utc());
    }
    Zone::named(name).ok()
}

/// `5000`, `5s`, `2min`.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use gridtally_schemas::time::Zone;

    use super::Settings;

    #[test]
    fn harmless_settings_change_and_others_are_refused() {
        let mut settings = Settings::new(&Zone::kolkata(), "auditor");
        for (name, value, shown) in [
            ("application_name", "psql", "psql"),
            ("CLIENT_ENCODING", "unicode", "UTF8"),
            ("datestyle", "ISO, DMY", "ISO, YMD"),
            ("timezone", "Europe/Berlin", "Europe/Berlin"),
            ("extra_float_digits", "3", "3"),
            ("statement_timeout", "5s", "5s"),
            ("search_path", "a, b", "a, b"),
        ] {
            settings.set(name, Some(value)).unwrap();
            assert_eq!(settings.get(name).unwrap().1, shown, "{name}");
        }
        assert_eq!(settings.timeout(), Some(std::time::Duration::from_secs(5)));
        for (name, value, sqlstate) in [
            ("client_encoding", "LATIN1", "22023"),
            ("DateStyle", "German", "22023"),
            ("TimeZone", "Nowhere/At all", "22023"),
            ("server_version", "99", "55P02"),
            ("work_mem", "100GB", "42704"),
            ("datafusion.execution.batch_size", "1", "42704"),
            ("default_transaction_read_only", "off", "25006"),
            ("statement_timeout", "for ever", "22023"),
        ] {
            let problem = settings.set(name, Some(value)).unwrap_err();
            assert_eq!(problem.sqlstate, sqlstate, "{name}");
        }
        settings.reset().unwrap();
        assert_eq!(settings.get("TimeZone").unwrap().1, "Asia/Kolkata");
        assert_eq!(settings.timeout(), None);
    }
}
