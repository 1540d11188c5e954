//! The MQTT endpoint, from configuration: where it listens, how, and who may publish.

use std::{net::SocketAddr, path::Path, sync::Arc};

use gridtally_ingest::{
    key::KeyHash,
    mqtt::MqttConfig,
    publisher::Publishers,
    tls::{ClientAuthority, Tls},
};
use gridtally_schemas::{GatewayId, MeterId};

use crate::config::{Config, ConfigError};

/// Where it listens, and how.
#[derive(Debug, Clone)]
pub(crate) struct MqttPlan {
    /// Without TLS.
    pub(crate) listen: SocketAddr,
    /// With TLS.
    pub(crate) tls: Option<(SocketAddr, Tls)>,
    pub(crate) config: MqttConfig,
}

/// The plan.
pub(super) fn plan(config: &Config) -> Result<MqttPlan, ConfigError> {
    let mut publishers = publishers(config)?;
    if config.text_if_set("mqtt.client_authorities").is_some() {
        publishers.ask_everybody();
    }
    let tls = tls(config, publishers.asks())?;
    Ok(MqttPlan {
        listen: super::guarded(config, "mqtt.listen", "mqtt.open")?,
        tls,
        config: MqttConfig {
            connections_max: config.count("mqtt.connections_max", 1..=1_000_000)?,
            packet_bytes_max: config.count("mqtt.packet_bytes_max", 1_024..=64 << 20)?,
            connect_timeout: config.seconds("mqtt.connect_seconds_max", 1..=600)?,
            publishers: Arc::new(publishers),
            ..MqttConfig::default()
        },
    })
}

/// Names of meters and gateways with the hashes of their keys.
fn publishers(config: &Config) -> Result<Publishers, ConfigError> {
    let mut publishers = Publishers::default();
    for entry in &config.publishers {
        let refuse = |reason: String| ConfigError::Form {
            key: format!("mqtt.publishers.{}", entry.name),
            path: config.file.clone().unwrap_or_default(),
            reason,
        };
        if let (Err(_), Err(error)) = (MeterId::parse(&entry.name), GatewayId::parse(&entry.name)) {
            return Err(refuse(format!(
                "it is the id of no meter and no gateway: {error}"
            )));
        }
        let hash = KeyHash::parse(&entry.hash).map_err(|reason| refuse(format!("hash: {reason}")))?;
        if !publishers.add(entry.name.clone(), hash) {
            return Err(refuse("it stands twice".to_owned()));
        }
    }
    Ok(publishers)
}

/// Where TLS is spoken; `asks`: publishers must say who they are.
fn tls(config: &Config, asks: bool) -> Result<Option<(SocketAddr, Tls)>, ConfigError> {
    let files = [
        "mqtt.tls_certificate",
        "mqtt.tls_key",
        "mqtt.client_authorities",
        "mqtt.client_revocations",
    ];
    if config.text_if_set("mqtt.tls_listen").is_none() {
        return match files.into_iter().find(|key| config.text_if_set(key).is_some()) {
            Some(key) => Err(config.refuse(key, "it is of use only with mqtt.tls_listen")),
            None => Ok(None),
        };
    }
    let [certificate, key, authorities, revoked] = files.map(|key| config.text_if_set(key).map(Path::new));
    let (Some(certificate), Some(key)) = (certificate, key) else {
        let reason = "TLS needs mqtt.tls_certificate and mqtt.tls_key";
        return Err(config.refuse("mqtt.tls_listen", reason));
    };
    if authorities.is_none() && revoked.is_some() {
        let reason = "what is revoked is of use only with mqtt.client_authorities";
        return Err(config.refuse("mqtt.client_revocations", reason));
    }
    let clients = authorities.map(|authorities| ClientAuthority { authorities, revoked });
    let tls = Tls::load(certificate, key, clients, &[b"mqtt"])
        .map_err(|error| config.refuse("mqtt.tls_listen", crate::exit::chain(&error)))?;
    let address = if asks {
        config.listen("mqtt.tls_listen")?
    } else {
        super::guarded(config, "mqtt.tls_listen", "mqtt.open")?
    };
    Ok(Some((address, tls)))
}
