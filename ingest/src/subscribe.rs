//! The subscriber: the contract's topics from an existing MQTT 5 broker, each publish acknowledged once it is durable.
//!
//! The weaker of the two ways in. Through it a meter's PUBACK is the *broker's* promise; ours is to the broker: it may forget a
//! publish only after the log has synced it. Until then the broker keeps it, over any loss of connection on either side, because
//! the session persists ([`SubscribeConfig::session_expiry`]). Publishes that come again merge by content.
//!
//! Three stages run side by side on one connection, and each waits only on those after it:
//!
//! ```text
//! poll ──received (bound: packet ids, pending_bytes_max)──▶ store ──stored──▶ acknowledge ──requests──▶ poll
//! keeps the connection alive,                               gate, log          waits for sync,
//! never waits for the log                                                      acknowledges in order
//! ```
//!
//! The circle cannot lock up: a request is one subscription or the acknowledgement of a publish of this connection, and every
//! queue holds as many as a session has packet ids. (Not `receive_maximum`: mosquitto 2.0.11 sends far more than that
//! unacknowledged once acknowledgements have paused.) Payload is bounded by `pending_bytes_max`.
//!
//! Every connection has an event loop, channels and packet ids of its own, which end with it: an acknowledgement cannot reach
//! a later connection, where its packet id would mean another publish. After each connect the subscriber subscribes again.
//!
//! - Log full: storing waits, so nothing is acknowledged, and the broker stops at `receive_maximum` and queues the rest. One that
//!   does not stop is cut off at `pending_bytes_max` and sends again on the next connection.
//! - Not decodable: stored whole, acknowledged. Not its sender's (0x87 on the endpoint): stored as undecodable and
//!   acknowledged, since its sender is out of reach and the broker would send it for ever.
//! - QoS 0 promises nothing: dropped and counted while more than half of `pending_bytes_max` waits.
//!
//! For the operator: mosquitto drops what exceeds `max_queued_messages` (1,000 by default) while nobody takes it; set it to fit. And
//! mosquitto 2.0 does not keep a *shared* subscription over its own restart: it loses what meters publish between its start and
//! our next connection. With one subscriber leave the group empty: the ordinary subscription is kept, with all that comes meanwhile.

mod backoff;
mod connection;

use std::{fmt, future::Future, pin::Pin, time::Duration};

use crate::{
    gate::Gate,
    log::{AppendError, RECORD_BYTES_MAX},
    metrics::Tally,
};

use backoff::Backoff;
use connection::{End, LostError};

/// Which broker, as whom, and the bounds.
#[derive(Clone)]
pub struct SubscribeConfig {
    /// Host name or address of the broker.
    pub host: String,
    /// Its port; plain TCP.
    pub port: u16,
    /// Name to log in with; `None`: anonymous.
    pub username: Option<String>,
    /// Password that goes with the name.
    pub password: Option<String>,
    /// Client id: the broker keeps the session under it, so it must be the same after a restart, and no other process may use it.
    pub client_id: String,
    /// Group of the shared subscription: each publish goes to one member. Empty: an ordinary subscription, of this client alone.
    pub group: String,
    /// Publishes that the broker is asked to send at most without acknowledgement. Default 256.
    pub receive_maximum: u16,
    /// Longest packet that the broker may send. The broker drops longer ones, as MQTT 5 has it. Default 4 MiB, at most 32 MiB.
    pub packet_bytes_max: u32,
    /// Payload that may wait to be stored, in bytes. Default 64 MiB; no less than `packet_bytes_max`.
    pub pending_bytes_max: u32,
    /// How long the broker keeps the session and its publishes while we are away. Default 7 days.
    pub session_expiry: Duration,
    /// Silence after which the connection is probed; whole seconds, at least 5. Default 30 s.
    pub keep_alive: Duration,
    /// First pause before connecting again; doubles up to `reconnect_max`. Default 250 ms.
    pub reconnect_min: Duration,
    /// Longest pause before connecting again. Default 30 s.
    pub reconnect_max: Duration,
    /// Pause before a full log is tried again. Default 250 ms.
    pub full_pause: Duration,
}

impl SubscribeConfig {
    /// A configuration with the defaults.
    pub fn new(host: impl Into<String>, port: u16, client_id: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port,
            username: None,
            password: None,
            client_id: client_id.into(),
            group: "gridtally".to_owned(),
            receive_maximum: 256,
            packet_bytes_max: 4 * 1024 * 1024,
            pending_bytes_max: 64 * 1024 * 1024,
            session_expiry: Duration::from_secs(7 * 24 * 3_600),
            keep_alive: Duration::from_secs(30),
            reconnect_min: Duration::from_millis(250),
            reconnect_max: Duration::from_secs(30),
            full_pause: Duration::from_millis(250),
        }
    }

    /// Checks what must hold of the values.
    ///
    /// # Errors
    /// [`SubscribeError::Config`] says which value cannot be.
    pub fn check(&self) -> Result<(), SubscribeError> {
        let wrong = |reason: &'static str| Err(SubscribeError::Config { reason });
        if self.host.is_empty() || self.port == 0 {
            return wrong("host and port of the broker are required");
        }
        if self.client_id.is_empty() {
            return wrong("client_id is required: the broker keeps the session under it");
        }
        if self.group.contains(['/', '+', '#']) {
            return wrong("group must be a name without / + #");
        }
        if self.receive_maximum == 0 {
            return wrong("receive_maximum must be at least 1");
        }
        // A record is the payload with a few texts of at most 64 KiB each around it.
        let record_fits =
            usize::try_from(self.packet_bytes_max).is_ok_and(|bytes| bytes <= RECORD_BYTES_MAX / 2);
        if self.packet_bytes_max < 1_024 || !record_fits {
            return wrong("packet_bytes_max must be from 1 KiB to 32 MiB");
        }
        if self.pending_bytes_max < self.packet_bytes_max {
            return wrong("pending_bytes_max must be no less than packet_bytes_max");
        }
        // rumqttc panics below 5 s.
        if !(5..=u64::from(u16::MAX)).contains(&self.keep_alive.as_secs()) {
            return wrong("keep_alive must be from 5 s to 65535 s");
        }
        if self.reconnect_min.is_zero()
            || self.reconnect_min > self.reconnect_max
            || self.full_pause.is_zero()
        {
            return wrong("pauses must be above zero, and reconnect_min no more than reconnect_max");
        }
        Ok(())
    }
}

impl fmt::Debug for SubscribeConfig {
    /// Everything but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscribeConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("username", &self.username)
            .field("client_id", &self.client_id)
            .field("group", &self.group)
            .field("receive_maximum", &self.receive_maximum)
            .field("packet_bytes_max", &self.packet_bytes_max)
            .field("session_expiry", &self.session_expiry)
            .finish_non_exhaustive()
    }
}

/// Why the subscriber ended. A lost or refused connection never ends it.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// A value of the configuration cannot be.
    #[error("subscriber configuration: {reason}")]
    Config {
        /// Which, and why.
        reason: &'static str,
    },
    /// The log takes nothing any more.
    #[error("subscriber stopped: nothing can be stored")]
    Log(#[source] AppendError),
}

/// Subscribes until `shutdown` resolves; connects again for ever.
///
/// # Errors
/// [`SubscribeError`] when the configuration cannot be or the log is closed or poisoned.
pub async fn run(
    config: SubscribeConfig,
    gate: Gate,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), SubscribeError> {
    run_until(config, gate, Box::pin(shutdown)).await
}

/// Not generic, and so compiled here once instead of in every crate that subscribes.
async fn run_until(
    config: SubscribeConfig,
    gate: Gate,
    mut shutdown: Pin<Box<dyn Future<Output = ()> + Send + '_>>,
) -> Result<(), SubscribeError> {
    config.check()?;
    let mut backoff = Backoff::new(config.reconnect_min, config.reconnect_max);
    let mut had_session = false;
    loop {
        let mut connected = false;
        let end = Box::pin(connection::run(
            &config,
            &gate,
            shutdown.as_mut(),
            |session_present| {
                connected = true;
                if had_session && !session_present {
                    tracing::warn!(
                        host = config.host,
                        port = config.port,
                        "broker has lost the session: publishes that it held for us are gone"
                    );
                }
                had_session = true;
            },
        ))
        .await;
        if connected {
            backoff.reset();
        }
        let lost = match end {
            End::Shutdown => return Ok(()),
            End::Log(error) => return Err(SubscribeError::Log(error)),
            End::Lost(lost) => lost,
        };
        let pause = backoff.next();
        report_lost(&config, &gate, &lost, pause);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.as_mut() => return Ok(()),
        }
    }
}

fn report_lost(config: &SubscribeConfig, gate: &Gate, lost: &LostError, pause: Duration) {
    gate.metrics.add(&Tally {
        broker_losses: 1,
        ..Tally::default()
    });
    tracing::warn!(
        host = config.host,
        port = config.port,
        error = %lost,
        retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        "no connection to the broker"
    );
}

#[cfg(test)]
mod tests;
