//! Sessions of the page: a cookie that stands for a caller, so that no script holds a key.
//!
//! The cookie holds 256 random bits and nothing else; what is kept is their hash, with the caller, in memory: a restart ends every session.
//! It is `HttpOnly` (scripts do not see it), `SameSite=Strict` (no other site's page sends it), and `Secure` where the page came by TLS.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderValue, header};
use gridtally_schemas::UtcMicros;

use gridtally_ingest::key;

use super::{Caller, KeyHash};

/// The cookie's name.
const COOKIE: &str = "gridtally_session";
/// Sessions at a time; the one that ends first makes room.
const SESSIONS_MAX: usize = 10_000;

/// The sessions there are.
#[derive(Debug)]
pub(super) struct Sessions {
    last: Duration,
    open: Mutex<HashMap<KeyHash, (Caller, UtcMicros)>>,
}

/// A session that has begun.
#[derive(Debug)]
pub(crate) struct Session {
    /// What the cookie holds.
    pub(crate) id: String,
    pub(crate) caller: Caller,
    /// How long it is good for.
    pub(crate) seconds: u64,
}

impl Sessions {
    pub(super) fn new(last: Duration) -> Self {
        Self {
            last,
            open: Mutex::default(),
        }
    }

    /// Begins one, which ends with the caller's key or token at the latest.
    pub(super) fn begin(&self, caller: Caller, now: UtcMicros) -> Result<Session, String> {
        let id = key::random_text()?;
        let last = i64::try_from(self.last.as_micros()).unwrap_or(i64::MAX);
        let end = now.plus(last);
        let end = caller.until.map_or(end, |until| until.min(end));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, (_, end)| *end > now);
        if open.len() >= SESSIONS_MAX
            && let Some(first) = open.iter().min_by_key(|(_, (_, end))| *end).map(|(id, _)| *id)
        {
            open.remove(&first);
        }
        open.insert(KeyHash::of(&id), (caller.clone(), end));
        let seconds = u64::try_from(end.0.saturating_sub(now.0) / 1_000_000).unwrap_or(0);
        Ok(Session { id, caller, seconds })
    }

    /// Whose session it is.
    pub(super) fn find(&self, id: &str, now: UtcMicros) -> Option<Caller> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (caller, end) = open.get(&KeyHash::of(id))?;
        (*end > now).then(|| caller.clone())
    }

    pub(super) fn end(&self, id: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&KeyHash::of(id));
    }
}

/// What the page's cookie holds.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    let pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

/// The header that sets the cookie; an empty `id` takes it away.
pub(crate) fn set_cookie(headers: &HeaderMap, id: &str, seconds: u64) -> Option<HeaderValue> {
    let secure = if came_by_tls(headers) { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::from_str(&cookie).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether the page was loaded by TLS, which ends at a proxy: browsers say so in `Origin`, proxies in `X-Forwarded-Proto`.
fn came_by_tls(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    text("origin").is_some_and(|origin| origin.starts_with("https://"))
        || text("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}
