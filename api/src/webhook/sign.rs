//! Signatures of Standard Webhooks (standardwebhooks/standard-webhooks, spec/standard-webhooks.md): HMAC-SHA256 with base64.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;

/// How a secret begins that is written down.
const PREFIX: &str = "whsec_";
/// Bytes of a secret, as the specification has it.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Why text is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It begins otherwise.
    #[error("a secret begins with {PREFIX}")]
    Prefix,
    /// The rest is not base64.
    #[error("what follows {PREFIX} is not base64")]
    Base64,
    /// It has too few or too many bytes.
    #[error("a secret has {least} to {most} bytes; this one has {bytes}", least = BYTES.start(), most = BYTES.end())]
    Length {
        /// How many.
        bytes: usize,
    },
}

/// A secret shared with a receiver. It is never shown.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(********)")
    }
}

impl Secret {
    /// Reads `whsec_` and base64.
    ///
    /// # Errors
    /// [`SecretError`] says what is wrong, never what the secret is.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SecretError::Base64)?;
        if !BYTES.contains(&bytes.len()) {
            return Err(SecretError::Length { bytes: bytes.len() });
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

/// The value of `webhook-signature`: one signature by each secret, so that a receiver that knows any of them can verify.
pub(super) fn signatures(secrets: &[Secret], id: &str, timestamp_seconds: i64, body: &[u8]) -> String {
    let sign = |secret: &Secret| {
        let mut context = hmac::Context::with_key(&secret.0);
        context.update(format!("{id}.{timestamp_seconds}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    };
    let all: Vec<String> = secrets.iter().map(sign).collect();
    all.join(" ")
}
