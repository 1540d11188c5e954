//! Who is told of outages and of compensation, from configuration.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use gridtally_api::webhook::{
    COMPENSATION_KINDS, Endpoint, Follows, OUTAGE_KINDS, Patience, Secret, Url, WebhookSettings,
};

use crate::config::{Config, ConfigError, WebhookEntry};

const SECOND_MICROS: i64 = 1_000_000;

/// Receivers and patience.
pub(super) fn settings(config: &Config, data_dir: &Path) -> Result<WebhookSettings, ConfigError> {
    let seconds = |path: &'static str, range: std::ops::RangeInclusive<u64>| {
        let seconds = config.whole(path, range)?;
        i64::try_from(seconds).map_err(|_| config.refuse(path, "too large"))
    };
    let attempts = config.whole("webhooks.attempts_max", 1..=1_000)?;
    let authorities = config.text_if_set("webhooks.ca_file").map(|path| {
        std::fs::read(path).map_err(|error| config.refuse("webhooks.ca_file", error.to_string()))
    });
    let first_ms = config.whole("webhooks.retry_first_ms", 10..=3_600_000)?;
    let first_ms =
        i64::try_from(first_ms).map_err(|_| config.refuse("webhooks.retry_first_ms", "too large"))?;
    Ok(WebhookSettings {
        endpoints: endpoints(&config.webhooks)?,
        folder: data_dir.join("webhooks"),
        patience: Patience {
            first_micros: first_ms * 1_000,
            longest_micros: seconds("webhooks.retry_max_seconds", 1..=86_400)? * SECOND_MICROS,
            attempts_max: u32::try_from(attempts)
                .map_err(|_| config.refuse("webhooks.attempts_max", "too large"))?,
            give_up_micros: seconds("webhooks.give_up_hours", 1..=24 * 366)? * 3_600 * SECOND_MICROS,
        },
        timeout: Duration::from_secs(config.whole("webhooks.timeout_seconds", 1..=300)?),
        authorities: authorities.transpose()?,
    })
}

/// How soon after a checkpoint a new outage is published for receivers of notices; `None`: with the next checkpoint, or nobody is told of
/// outages.
pub(super) fn notice(config: &Config) -> Result<Option<Duration>, ConfigError> {
    const PATH: &str = "webhooks.notice_seconds";
    let wait = match config.text(PATH) {
        "never" => None,
        _ => Some(config.seconds(PATH, 1..=3_600)?),
    };
    let told = |entry: &WebhookEntry| matches!(follows(&entry.events), Ok(Follows::Outages));
    Ok(wait.filter(|_| config.webhooks.iter().any(told)))
}

fn endpoints(entries: &[WebhookEntry]) -> Result<Vec<Endpoint>, ConfigError> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut endpoints = Vec::with_capacity(entries.len());
    for entry in entries {
        let refuse = |key: &str, reason: String| ConfigError::Form {
            key: format!("webhooks.endpoints.{}.{key}", entry.name),
            path: PathBuf::from("the configuration file"),
            reason,
        };
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        if entry.name.is_empty() || entry.name.len() > 64 || !entry.name.chars().all(is_plain) {
            return Err(refuse(
                "name",
                "1 to 64 letters, digits, - and _ are possible".to_owned(),
            ));
        }
        if !names.insert(&entry.name) {
            return Err(refuse("name", "it stands twice".to_owned()));
        }
        let follows = follows(&entry.events).map_err(|reason| refuse("events", reason))?;
        if entry.secrets.is_empty() {
            return Err(refuse(
                "secrets",
                "at least one is needed: whsec_ and base64 of 24 to 64 bytes".to_owned(),
            ));
        }
        let secrets = entry.secrets.iter().map(|secret| Secret::parse(secret));
        endpoints.push(Endpoint {
            name: entry.name.clone(),
            url: url_of(entry).map_err(|reason| refuse("url", reason))?,
            secrets: secrets
                .collect::<Result<_, _>>()
                .map_err(|error| refuse("secrets", error.to_string()))?,
            follows,
            events: entry.events.iter().cloned().collect(),
        });
    }
    Ok(endpoints)
}

/// What a receiver of these kinds of notices follows.
fn follows(events: &[String]) -> Result<Follows, String> {
    let known = || OUTAGE_KINDS.into_iter().chain(COMPENSATION_KINDS);
    if let Some(other) = events.iter().find(|event| !known().any(|kind| kind == *event)) {
        let known: Vec<&str> = known().collect();
        return Err(format!("`{other}` is none of: {}", known.join(", ")));
    }
    Follows::of(events.iter().map(String::as_str)).ok_or_else(|| {
        "a receiver follows outages or compensation, not both: name another receiver for the other".to_owned()
    })
}

/// An address over TLS; without it only on this machine, or where that is said to be meant.
fn url_of(entry: &WebhookEntry) -> Result<Url, String> {
    let url: Url = entry.url.parse().map_err(|error| format!("{error}"))?;
    let host = url.host_str().ok_or("it names no host")?;
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here || entry.allow_http => Ok(url),
        "http" => Err(
            "beyond this machine notices go by https, unless allow_http = true says that this is meant"
                .to_owned(),
        ),
        other => Err(format!("`{other}` is neither https nor http")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> WebhookEntry {
        WebhookEntry {
            name: "sms".to_owned(),
            url: "https://sms.example/hook".to_owned(),
            secrets: vec!["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()],
            events: vec!["gridtally.outage.active.v1".to_owned()],
            allow_http: false,
        }
    }

    #[test]
    fn an_entry_that_cannot_be_used_is_refused_with_its_name_key_and_why() {
        assert_eq!(endpoints(&[entry()]).unwrap().len(), 1);
        let check = |change: &dyn Fn(&mut WebhookEntry), expected: &str| {
            let mut changed = entry();
            change(&mut changed);
            let error = endpoints(&[changed]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(
            &|entry| entry.name = "a/b".to_owned(),
            "`webhooks.endpoints.a/b.name` in the configuration file: 1 to 64 letters",
        );
        check(
            &|entry| entry.url = "http://sms.example/".to_owned(),
            "`webhooks.endpoints.sms.url`",
        );
        check(
            &|entry| entry.url = "ftp://sms.example/".to_owned(),
            "`ftp` is neither https nor http",
        );
        check(&|entry| entry.secrets.clear(), "`webhooks.endpoints.sms.secrets`");
        check(
            &|entry| entry.secrets = vec!["secret".to_owned()],
            "a secret begins with whsec_",
        );
        check(
            &|entry| entry.secrets = vec!["whsec_c2hvcnQ=".to_owned()],
            "this one has 5",
        );
        check(
            &|entry| entry.events = vec!["outage".to_owned()],
            "`outage` is none of: gridtally.outage.scheduled.v1",
        );
        check(
            &|entry| entry.events.push("gridtally.compensation.due.v1".to_owned()),
            "a receiver follows outages or compensation, not both",
        );
        let twice = endpoints(&[entry(), entry()]).unwrap_err().to_string();
        assert!(twice.ends_with("it stands twice"), "{twice}");
        for (url, allow_http) in [
            ("http://127.0.0.1:9/", false),
            ("http://[::1]:9/", false),
            ("http://sms.example/", true),
        ] {
            let entry = WebhookEntry {
                url: url.to_owned(),
                allow_http,
                ..entry()
            };
            assert!(endpoints(&[entry]).is_ok(), "{url}");
        }
    }
}
