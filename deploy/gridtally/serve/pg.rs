//! SQL by PostgreSQL's protocol, from configuration.

use std::{collections::BTreeSet, net::SocketAddr};

use gridtally_api::{
    PgSettings, Verifier,
    access::{Access, Caller},
};

use crate::config::{Config, ConfigError};

/// Where it listens, and how.
#[derive(Debug, Clone)]
pub(crate) struct PgPlan {
    pub(crate) listen: SocketAddr,
    pub(crate) settings: PgSettings,
}

/// The plan; `None`: off.
pub(super) fn plan(config: &Config, access: &Access) -> Result<Option<PgPlan>, ConfigError> {
    if config.text_if_set("pg.listen").is_none() {
        return Ok(None);
    }
    if !access.is_open() && config.pg_users.is_empty() {
        let why = "access is configured, and by PostgreSQL's protocol everybody could ask everything: it needs [[pg.users]] too, or \
                   pg.listen = \"\" turns it off";
        return Err(config.refuse("pg.listen", why));
    }
    Ok(Some(PgPlan {
        listen: super::guarded(config, "pg.listen", "pg.open")?,
        settings: PgSettings {
            connections_max: config.count("pg.connections_max", 1..=10_000)?,
            idle: config.seconds("pg.idle_seconds", 1..=604_800)?,
            users: users(config)?,
            clock: config.clock()?,
            tls: super::tls(config, "pg.tls_certificate", "pg.tls_key", &[b"postgresql"])?,
        },
    }))
}

/// Names with verifiers.
pub(super) fn users(config: &Config) -> Result<Vec<(Caller, Verifier)>, ConfigError> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut users = Vec::with_capacity(config.pg_users.len());
    for user in &config.pg_users {
        let refuse = |reason: String| ConfigError::Form {
            key: format!("pg.users.{}", user.name),
            path: config.file.clone().unwrap_or_default(),
            reason,
        };
        if user.name.is_empty() {
            return Err(refuse("each needs a name".to_owned()));
        }
        if !names.insert(&user.name) {
            return Err(refuse("it stands twice".to_owned()));
        }
        let verifier = Verifier::parse(&user.verifier).map_err(refuse)?;
        let role = user.role.parse().map_err(|error| refuse(format!("{error}")))?;
        let area = super::access::area(user.area.as_deref()).map_err(refuse)?;
        users.push((Caller::new(&user.name, [role], area), verifier));
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::users;
    use crate::config::{Config, PgUser, Sources};

    #[test]
    fn a_user_that_cannot_be_used_is_refused_with_name_and_why() {
        let check = |users_given: &[(&str, &str)], expected: &str| {
            let mut config = Config::load(&Sources::default(), |_| None).unwrap();
            config.pg_users = users_given
                .iter()
                .map(|(name, verifier)| PgUser {
                    name: (*name).to_owned(),
                    verifier: (*verifier).to_owned(),
                    role: "auditor".to_owned(),
                    area: None,
                })
                .collect();
            let error = users(&config).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let good = gridtally_api::Verifier::of_password("secret")
            .unwrap()
            .to_string();
        check(&[("a", "secret")], "`pg.users.a` in ");
        check(&[("a", "secret")], "needed is SCRAM-SHA-256$");
        check(&[("", &good)], "each needs a name");
        check(&[("a", &good), ("a", &good)], "it stands twice");
    }
}
