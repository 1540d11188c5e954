//! One attempt to hand a notice to a receiver.

use std::{error::Error as _, time::Duration};

use gridtally_schemas::UtcMicros;
use reqwest::{
    Client, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
    redirect::Policy,
};

use super::{Endpoint, queue::Failure, sign::signatures, source::Notice};

const SECOND_MICROS: i64 = 1_000_000;
/// Longest that a receiver may ask to wait, seconds: a day.
const RETRY_AFTER_MAX: i64 = 86_400;
/// Media type of an event in structured mode (CloudEvents HTTP protocol binding 1.0).
const CLOUD_EVENT: &str = "application/cloudevents+json; charset=utf-8";

/// A client that waits at most so long for an answer, follows no redirect (the secret is shared with the configured address alone), and
/// trusts the system's certificates and those of `authorities` (PEM).
pub(super) fn client(timeout: Duration, authorities: Option<&[u8]>) -> Result<Client, reqwest::Error> {
    let mut builder = Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout)
        .redirect(Policy::none())
        .no_proxy()
        .user_agent(concat!("gridtally/", env!("CARGO_PKG_VERSION")));
    if let Some(pem) = authorities {
        for certificate in reqwest::Certificate::from_pem_bundle(pem)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build()
}

/// Sends a notice, signed at `now`, the machine's own clock: receivers refuse what is signed at another time.
pub(super) async fn post(
    client: &Client,
    endpoint: &Endpoint,
    notice: &Notice,
    now: UtcMicros,
) -> Result<(), Failure> {
    let seconds = now.0.div_euclid(SECOND_MICROS);
    let signatures = signatures(&endpoint.secrets, &notice.id, seconds, &notice.body);
    let sent = client
        .post(endpoint.url.clone())
        .header(CONTENT_TYPE, CLOUD_EVENT)
        .header("webhook-id", &notice.id)
        .header("webhook-timestamp", seconds)
        .header("webhook-signature", signatures)
        .body(notice.body.clone())
        .send()
        .await;
    match sent {
        // What the receiver says beside its status is not read.
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(refusal(answer.status(), answer.headers(), now)),
        Err(error) => Err(Failure {
            error: causes(&error),
            is_gone: false,
            retry_after_micros: None,
        }),
    }
}

fn refusal(status: StatusCode, headers: &HeaderMap, now: UtcMicros) -> Failure {
    let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = asked.and_then(|text| retry_after_seconds(text.trim(), now));
    Failure {
        error: format!("the receiver answered {status}"),
        is_gone: status == StatusCode::GONE,
        retry_after_micros: seconds.map(|seconds| seconds.min(RETRY_AFTER_MAX) * SECOND_MICROS),
    }
}

/// `Retry-After`: seconds, or a date of HTTP (RFC 9110, 10.2.3). `None`: it says nothing that can be used, or a time that is past.
fn retry_after_seconds(text: &str, now: UtcMicros) -> Option<i64> {
    let date = || {
        let at = jiff::fmt::rfc2822::parse(text).ok()?;
        Some(at.timestamp().as_second() - now.0.div_euclid(SECOND_MICROS))
    };
    let seconds = text.parse::<i64>().ok().or_else(date)?;
    (seconds > 0).then_some(seconds)
}

/// An error with its causes, without the address: that may hold a key.
fn causes(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the request broke off"
    };
    let mut source = error.source();
    let mut text = what.to_owned();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
