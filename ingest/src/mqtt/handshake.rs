//! The first packet of a connection, and its answer.

use std::{future::poll_fn, io, pin::pin};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    MqttConfig,
    answer::{self, Welcome},
    packet::{self, Connect, ConnectError, Frame, Version, Violation},
    reason::Reason,
};
use crate::publisher::{Identity, Shown, Stranger};

/// Longest CONNECT, bytes: ten thousand half-open connections then hold 160 MB at worst.
const CONNECT_BYTES_MAX: usize = 16 << 10;
/// Longest client id, bytes (the standard asks for 23).
const CLIENT_ID_BYTES_MAX: usize = 256;

/// What a connection has agreed upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreement {
    pub(super) version: Version,
    pub(super) client_id: String,
    /// Who it speaks for.
    pub(super) identity: Identity,
    /// Promised by the client, or set by the endpoint.
    pub(super) keep_alive_seconds: u16,
}

/// Why there is no agreement.
#[derive(Debug)]
pub(super) enum HandshakeError {
    /// The client went away, or the socket failed.
    Gone(io::Error),
    /// What came is refused; a client whose version is known is told why.
    Refused {
        reason: Reason,
        detail: &'static str,
        tell: Option<Version>,
    },
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

/// Waits for a CONNECT and decides; does not answer yet. Bytes behind the CONNECT stay in `buffer`.
pub(super) async fn receive<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    decide: impl FnOnce(&Connect<'_>) -> Result<(Agreement, Vec<u8>), Reason>,
) -> Result<(Agreement, Vec<u8>), HandshakeError> {
    loop {
        match first_frame(buffer)? {
            Frame::Whole { first, body, length } => {
                let connect = packet::connect(first, body).map_err(refused_connect)?;
                let refused = |reason| HandshakeError::Refused {
                    reason,
                    detail: "CONNECT asks for what is not offered",
                    tell: Some(connect.version),
                };
                let agreed = decide(&connect).map_err(refused)?;
                buffer.drain(..length);
                return Ok(agreed);
            }
            Frame::Partial { .. } => {}
        }
        if read_some(stream, buffer, 512).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

fn first_frame(buffer: &[u8]) -> Result<Frame<'_>, HandshakeError> {
    let refused = |violation: Violation| HandshakeError::Refused {
        reason: violation.reason,
        detail: violation.detail,
        tell: None,
    };
    // Told by its first byte, so that a stranger's bytes are not collected.
    if buffer.first().is_some_and(|first| *first != 0x10) {
        return Err(refused(Violation::protocol("first packet is no CONNECT")));
    }
    packet::frame(buffer, CONNECT_BYTES_MAX).map_err(refused)
}

const fn refused_connect(error: ConnectError) -> HandshakeError {
    let (reason, detail, tell) = match error {
        ConnectError::Violation(violation) => (violation.reason, violation.detail, None),
        ConnectError::Version { newer: true } => (
            Reason::UnsupportedProtocolVersion,
            "version is newer than 5",
            Some(Version::V5),
        ),
        ConnectError::Version { newer: false } => (
            Reason::UnsupportedProtocolVersion,
            "version is older than 3.1.1",
            Some(Version::V311),
        ),
    };
    HandshakeError::Refused { reason, detail, tell }
}

/// Decides about a CONNECT: the agreement and the CONNACK. `certificate`: the names in the client's certificate.
pub(super) fn decide(
    connect: &Connect<'_>,
    config: &MqttConfig,
    (number, certificate): (u64, Option<Box<[Box<str>]>>),
) -> Result<(Agreement, Vec<u8>), Reason> {
    if connect.has_authentication_method {
        return Err(Reason::BadAuthenticationMethod);
    }
    let anonymous = connect.client_id.is_empty();
    if connect.client_id.len() > CLIENT_ID_BYTES_MAX
        || (anonymous && connect.version == Version::V311 && !connect.clean)
    {
        return Err(Reason::ClientIdNotValid);
    }
    let shown = Shown {
        certificate,
        user_name: connect.user_name,
        password: connect.password,
    };
    let identity = config
        .publishers
        .identify(shown)
        .map_err(|stranger| match stranger {
            Stranger::Silent => Reason::NotAuthorized,
            Stranger::Wrong => Reason::BadUserNameOrPassword,
        })?;
    let client_id = if anonymous {
        format!("gridtally-{number}")
    } else {
        connect.client_id.to_owned()
    };
    let own = connect.keep_alive_seconds;
    let bound = u16::try_from(config.keep_alive_max.as_secs())
        .unwrap_or(u16::MAX)
        .max(1);
    let keep_alive_seconds = if own == 0 || own > bound { bound } else { own };
    let welcome = Welcome {
        config,
        assigned_client_id: anonymous.then_some(&client_id),
        server_keep_alive_seconds: (own != keep_alive_seconds).then_some(keep_alive_seconds),
        asked_for_session: connect.session_expiry_seconds > 0,
    };
    let mut out = Vec::new();
    answer::accept_connect(&welcome, connect.version, &mut out);
    if connect.has_will {
        tracing::debug!(
            client_id,
            "will ignored: the endpoint has no subscribers to deliver it to"
        );
    }
    Ok((
        Agreement {
            version: connect.version,
            client_id,
            identity,
            keep_alive_seconds,
        },
        out,
    ))
}

/// Refuses a connection for which there is no place: waits for its CONNECT, so that it can be told in its own version.
pub(super) async fn turn_away<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
) -> Result<(), HandshakeError> {
    let mut buffer = Vec::new();
    match receive(&mut stream, &mut buffer, |_| Err(Reason::ServerBusy)).await {
        Err(HandshakeError::Refused {
            reason,
            tell: Some(version),
            ..
        }) => {
            let mut out = Vec::new();
            answer::refuse_connect(reason, version, &mut out);
            stream.write_all(&out).await?;
            stream.shutdown().await?;
            Ok(())
        }
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

/// Reads what there is, at most about `bytes_max`, appending to `buffer`; 0: the client has closed its side. While nothing
/// comes, no room is held beyond what `buffer` holds: that is what keeps an idle connection small.
pub(super) async fn read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    bytes_max: usize,
) -> io::Result<usize> {
    poll_fn(|context| {
        buffer.reserve(bytes_max);
        let polled = pin!(stream.read_buf(buffer)).poll(context);
        if polled.is_pending() {
            buffer.shrink_to_fit();
        }
        polled
    })
    .await
}
