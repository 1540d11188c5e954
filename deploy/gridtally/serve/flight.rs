//! SQL by Arrow Flight SQL, from configuration.

use std::{future::Future, net::SocketAddr};

use gridtally_api::{FlightSettings, access::Access, sql::Sql};
use tokio::net::TcpListener;

use super::pg;
use crate::{
    config::{Config, ConfigError},
    exit::Failure,
};

/// Where it listens, and how.
#[derive(Debug, Clone)]
pub(crate) struct FlightPlan {
    pub(crate) listen: SocketAddr,
    pub(crate) settings: FlightSettings,
}

/// How it is spoken to, as a person is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spoken {
    pub(crate) scheme: &'static str,
    pub(crate) access: &'static str,
}

/// The plan; `None`: off. Users are those of `[[pg.users]]`.
pub(super) fn plan(config: &Config, access: &Access) -> Result<Option<FlightPlan>, ConfigError> {
    if config.text_if_set("flight.listen").is_none() {
        return Ok(None);
    }
    Ok(Some(FlightPlan {
        listen: super::guarded(config, "flight.listen", "flight.open")?,
        settings: FlightSettings {
            connections_max: config.count("flight.connections_max", 1..=10_000)?,
            idle: config.seconds("flight.idle_seconds", 1..=604_800)?,
            users: pg::users(config)?,
            access: access.clone(),
            clock: config.clock()?,
            tls: super::tls(config, "flight.tls_certificate", "flight.tls_key", &[b"h2"])?,
        },
    }))
}

impl FlightPlan {
    pub(super) const fn spoken(&self) -> Spoken {
        Spoken {
            scheme: if self.settings.tls.is_some() {
                "grpc+tls"
            } else {
                "grpc"
            },
            access: match (self.settings.users.is_empty(), self.settings.access.is_open()) {
                (true, true) => "open: any user, no password",
                (false, true) => "user and password",
                (true, false) => "key or token",
                (false, false) => "user and password, key or token",
            },
        }
    }
}

/// Serves until `ending`; where it is off it only waits.
pub(super) async fn serve(
    listener: Option<(TcpListener, FlightSettings)>,
    sql: Sql,
    ending: impl Future<Output = ()> + Send,
) -> Result<(), Failure> {
    match listener {
        Some((listener, settings)) => gridtally_api::serve_flight(listener, sql, settings, ending)
            .await
            .map_err(|source| Failure::work("Flight SQL ended", source)),
        None => {
            ending.await;
            Ok(())
        }
    }
}
