//! Who may ask, from configuration.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use gridtally_api::{
    access::{Access, AccessKey, AccessSettings, Caller, KeyHash, KeySource, OidcSettings, Role},
    webhook::Url,
};
use gridtally_schemas::{Clock, NodeId, UtcMicros};

use crate::config::{AccessKeyEntry, Config, ConfigError};

/// Longest name of a caller, bytes: it stands in records and in every line of the audit.
const NAME_BYTES_MAX: usize = 100;

/// The plan; open where the configuration names nobody.
pub(super) fn plan(config: &Config) -> Result<Access, ConfigError> {
    let hours = config.whole("access.session_hours", 1..=720)?;
    let mut names = BTreeSet::new();
    let mut hashes = BTreeSet::new();
    let mut keys = Vec::with_capacity(config.access_keys.len());
    for entry in &config.access_keys {
        let refuse = |reason: String| ConfigError::Form {
            key: format!("access.keys.{}", entry.name),
            path: config.file.clone().unwrap_or_default(),
            reason,
        };
        if !names.insert(&entry.name) || !hashes.insert(&entry.hash) {
            return Err(refuse("it stands twice".to_owned()));
        }
        keys.push(key(entry).map_err(refuse)?);
    }
    Access::new(AccessSettings {
        keys,
        oidc: oidc(config)?,
        metrics_open: config.get("access.metrics_open")?,
        session: Duration::from_secs(hours * 3_600),
        clock: Clock::system(0),
    })
    .map_err(|error| config.refuse("access.oidc.jwks_file", crate::exit::chain(&error)))
}

/// The identity provider; `None`: none is configured.
fn oidc(config: &Config) -> Result<Option<OidcSettings>, ConfigError> {
    let Some(issuer) = config.text_if_set("access.oidc.issuer") else {
        return match config.text_if_set("access.oidc.audience") {
            Some(_) => Err(config.refuse("access.oidc.issuer", "the audience needs its issuer")),
            None => Ok(None),
        };
    };
    let audience = config.text_if_set("access.oidc.audience");
    let audience = audience.ok_or_else(|| {
        let why = "tokens must be meant for this instance: it needs the audience (client) that they name";
        config.refuse("access.oidc.audience", why)
    })?;
    let url = config.text_if_set("access.oidc.jwks_url");
    let file = config.text_if_set("access.oidc.jwks_file");
    let keys = match (url, file) {
        (Some(url), None) => {
            KeySource::Url(key_address(url).map_err(|why| config.refuse("access.oidc.jwks_url", why))?)
        }
        (None, Some(path)) => KeySource::File(path.into()),
        (Some(_), Some(_)) => {
            return Err(config.refuse("access.oidc.jwks_file", "jwks_url is set too: one of them"));
        }
        (None, None) => return Err(config.refuse("access.oidc.jwks_url", "it, or jwks_file, is needed")),
    };
    Ok(Some(OidcSettings {
        issuer: issuer.to_owned(),
        audience: audience.to_owned(),
        keys,
        name_claim: config.text("access.oidc.name_claim").to_owned(),
        role_claim: config.text("access.oidc.role_claim").to_owned(),
        area_claim: config.text_if_set("access.oidc.area_claim").map(str::to_owned),
    }))
}

/// Where keys may come from: by TLS, or from this machine. Who could change them on their way could make any token.
fn key_address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err("https is needed beyond this machine".to_owned()),
    }
}

/// A key as it is configured.
pub(super) fn key(entry: &AccessKeyEntry) -> Result<AccessKey, String> {
    let name = entry.name.as_str();
    if name.trim() != name
        || name.is_empty()
        || name.len() > NAME_BYTES_MAX
        || name.chars().any(char::is_control)
    {
        return Err(format!("a name of 1 to {NAME_BYTES_MAX} bytes is needed"));
    }
    let roles = entry.roles.iter().map(|role| role.parse());
    let roles: Vec<Role> = roles
        .collect::<Result<_, _>>()
        .map_err(|error: gridtally_api::access::UnknownRole| error.to_string())?;
    if roles.is_empty() {
        return Err("it has no role".to_owned());
    }
    let expires = entry.expires.as_deref().map(UtcMicros::parse).transpose();
    let expires = expires.map_err(|error| format!("`expires`: {error}"))?;
    Ok(AccessKey {
        hash: KeyHash::parse(&entry.hash)?,
        caller: Caller::new(name, roles, area(entry.area.as_deref())?).known_until(expires),
    })
}

/// The node of an area.
pub(super) fn area(text: Option<&str>) -> Result<Option<NodeId>, String> {
    text.map(|text| NodeId::parse(text).map_err(|why| format!("`area` = `{text}`: {why}")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::plan;
    use crate::config::{AccessKeyEntry, Config, Sources};

    fn entry(name: &str) -> AccessKeyEntry {
        AccessKeyEntry {
            name: name.to_owned(),
            hash: format!("sha256:{}", "0a".repeat(32)),
            roles: vec!["viewer".to_owned()],
            area: None,
            expires: None,
        }
    }

    #[test]
    fn a_key_that_cannot_be_used_is_refused_with_name_and_why() {
        let check = |keys: Vec<AccessKeyEntry>, expected: &str| {
            let mut config = Config::load(&Sources::default(), |_| None).unwrap();
            config.access_keys = keys;
            let error = plan(&config).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let with = |change: fn(&mut AccessKeyEntry)| {
            let mut entry = entry("k");
            change(&mut entry);
            vec![entry]
        };
        check(with(|key| key.name.clear()), "a name of 1 to 100 bytes");
        check(
            with(|key| key.roles.clear()),
            "`access.keys.k` in : it has no role",
        );
        check(
            with(|key| key.roles = vec!["root".to_owned()]),
            "`root` is no role; there are viewer",
        );
        check(
            with(|key| key.hash = "sha256:12".to_owned()),
            "64 hexadecimal digits",
        );
        check(with(|key| key.area = Some(String::new())), "`area`");
        check(with(|key| key.expires = Some("tomorrow".to_owned())), "`expires`");
        check(vec![entry("k"), entry("k")], "it stands twice");
        check(vec![entry("k"), entry("l")], "it stands twice");
    }

    #[test]
    fn a_provider_is_whole_or_refused() {
        let check = |given: &[(&str, &str)], expected: &str| {
            let flags = given
                .iter()
                .map(|(key, value)| (format!("access.oidc.{key}"), (*value).to_owned()))
                .collect();
            let config = Config::load(&Sources { file: None, flags }, |_| None).unwrap();
            let error = plan(&config).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let (issuer, audience) = (("issuer", "https://id.example"), ("audience", "gridtally"));
        check(&[issuer], "the audience (client)");
        check(&[audience], "needs its issuer");
        check(&[issuer, audience], "it, or jwks_file, is needed");
        check(
            &[issuer, audience, ("jwks_url", "http://id.example/keys")],
            "https is needed",
        );
        check(
            &[issuer, audience, ("jwks_url", "ftp://localhost/keys")],
            "https is needed",
        );
        check(
            &[issuer, audience, ("jwks_file", "/nonexistent/keys.json")],
            "cannot be read",
        );
        check(
            &[
                issuer,
                audience,
                ("jwks_file", "k"),
                ("jwks_url", "https://id.example/keys"),
            ],
            "one of them",
        );
    }

    #[test]
    fn access_is_open_until_somebody_is_named() {
        let mut config = Config::load(&Sources::default(), |_| None).unwrap();
        assert!(plan(&config).unwrap().is_open());
        config.access_keys = vec![entry("k")];
        assert!(!plan(&config).unwrap().is_open());
    }
}
