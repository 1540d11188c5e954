//! Tokens of an identity provider (OpenID Connect): JWTs that it signed, and its keys (JWKS).
//!
//! Promises: only RS256, ES256 and EdDSA count, each with a key of its own kind (no `none`, no key taken for a secret); issuer and audience
//! are the configured ones; a token without end is of nobody, and one outside its time (`exp`, `nbf`, a minute of leeway) too, by the
//! machine's clock. A role that no word names is none, and where an area's claim is configured a token without it is of nobody: `*` is
//! everything.
//!
//! Keys are fetched when they are first needed, again after a quarter of an hour, and when a token names one that is not known, at most
//! every half minute. A provider that cannot be reached takes nothing away: keys that were there stay.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use gridtally_schemas::{NodeId, UtcMicros};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use reqwest::{Client, Url, redirect::Policy};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{Caller, Role, Unknown};

/// Signatures that count. Every other is refused, whatever a key set says.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
/// How far the provider's clock may be off, µs.
const LEEWAY_MICROS: i64 = 60_000_000;
/// Keys are asked for anew when they are this old.
const FRESH: Duration = Duration::from_secs(15 * 60);
/// Pause between two fetches.
const PAUSE: Duration = Duration::from_secs(30);
/// A fetch that takes longer has failed.
const FETCH_MAX: Duration = Duration::from_secs(10);
/// Largest key set, bytes.
const KEYS_BYTES_MAX: usize = 256 << 10;
/// Most keys of a set that are looked at.
const KEYS_MAX: usize = 64;
/// Longest token, bytes.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// Where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// At the provider.
    Url(Url),
    /// In a file, which is read at the start and again as it would be fetched.
    File(PathBuf),
}

/// Whose tokens count, and what their claims are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSettings {
    /// `iss`, exactly.
    pub issuer: String,
    /// `aud`, or one of it.
    pub audience: String,
    /// The provider's keys.
    pub keys: KeySource,
    /// Claim with the caller's name.
    pub name_claim: String,
    /// Claim with its roles: a text, or a list of texts. A point leads into an object: `realm_access.roles`.
    pub role_claim: String,
    /// Claim with its area; `None`: tokens have none, and see everything.
    pub area_claim: Option<String>,
}

/// Why a provider cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The file of keys cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A key set that holds no key that can be used.
    #[error("{0}")]
    Keys(String),
    /// The client for the provider's address cannot be made.
    #[error("the client for the provider's keys cannot be made")]
    Client(#[source] reqwest::Error),
    /// The provider did not answer as it should.
    #[error("the provider's keys cannot be fetched")]
    Fetch(#[source] reqwest::Error),
}

/// A key that verifies one kind of signature.
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    verifies: DecodingKey,
}

/// Keys as they were fetched last.
#[derive(Default)]
struct Held {
    keys: Arc<Vec<Key>>,
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
}

/// An identity provider.
pub(super) struct Oidc {
    settings: OidcSettings,
    client: Client,
    held: RwLock<Held>,
    /// One fetch at a time.
    fetching: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oidc")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn refused(why: impl std::fmt::Display) -> Unknown {
    Unknown::Refused(format!("the token is refused: {why}"))
}

impl Oidc {
    pub(super) fn new(settings: OidcSettings) -> Result<Self, OidcError> {
        let client = Client::builder()
            .timeout(FETCH_MAX)
            .connect_timeout(FETCH_MAX)
            // Keys come from the configured address alone.
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("gridtally/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(OidcError::Client)?;
        if let KeySource::File(path) = &settings.keys {
            of_file(path)?;
        }
        Ok(Self {
            settings,
            client,
            held: RwLock::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    /// Whose a token is.
    pub(super) async fn caller(&self, token: &str, now: UtcMicros) -> Result<Caller, Unknown> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(refused(format!("it is longer than {TOKEN_BYTES_MAX} bytes")));
        }
        let header = decode_header(token).map_err(refused)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(refused(format!("signatures of {:?} do not count", header.alg)));
        }
        if header.crit.is_some() {
            return Err(refused(
                "it asks for an extension (`crit`) that is not known here",
            ));
        }
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // Told below, by the clock that was given.
        validation.validate_exp = false;
        let keys = self.keys(header.kid.as_deref(), header.alg).await;
        let fits = |key: &&Key| fits(key, header.kid.as_deref(), header.alg);
        let mut why = refused("no key of the provider is called as it says");
        for key in keys.iter().filter(fits) {
            match decode::<Map<String, Value>>(token, &key.verifies, &validation) {
                Ok(decoded) => return of_claims(&self.settings, &decoded.claims, now),
                Err(error) => why = refused(error),
            }
        }
        Err(why)
    }

    /// The keys there are, fetched anew where none of them is the one that is wanted, or where they are old.
    async fn keys(&self, id: Option<&str>, algorithm: Algorithm) -> Arc<Vec<Key>> {
        let (keys, is_due) = self.held();
        let has = |keys: &[Key]| keys.iter().any(|key| fits(key, id, algorithm));
        if has(&keys) && !is_due {
            return keys;
        }
        let turn = if has(&keys) {
            // Somebody else is at it, and these are good meanwhile.
            self.fetching.try_lock().ok()
        } else {
            Some(self.fetching.lock().await)
        };
        if turn.is_some() {
            // While it waited another may have fetched them.
            let (keys, is_due) = self.held();
            if !has(&keys) || is_due {
                self.fetch_if_time().await;
            }
        }
        self.held().0
    }

    /// The keys, and whether they are to be fetched anew.
    fn held(&self) -> (Arc<Vec<Key>>, bool) {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let is_due = held.fetched_at.is_none_or(|at| at.elapsed() >= FRESH);
        (Arc::clone(&held.keys), is_due)
    }

    async fn fetch_if_time(&self) {
        {
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            if held.tried_at.is_some_and(|at| at.elapsed() < PAUSE) {
                return;
            }
            held.tried_at = Some(Instant::now());
        }
        let fetched = match &self.settings.keys {
            KeySource::File(path) => of_file(path),
            KeySource::Url(url) => self.fetch(url).await,
        };
        match fetched {
            Ok(keys) => {
                let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
                held.keys = Arc::new(keys);
                held.fetched_at = Some(Instant::now());
            }
            Err(error) => {
                let why = crate::problem::causes(&error);
                tracing::warn!(
                    issuer = self.settings.issuer,
                    why,
                    "the provider's keys could not be read"
                );
            }
        }
    }

    async fn fetch(&self, url: &Url) -> Result<Vec<Key>, OidcError> {
        let answer = self
            .client
            .get(url.clone())
            .header("accept", "application/json")
            .send()
            .await;
        let mut answer = answer
            .map_err(OidcError::Fetch)?
            .error_for_status()
            .map_err(OidcError::Fetch)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(OidcError::Fetch)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > KEYS_BYTES_MAX {
                return Err(OidcError::Keys(format!(
                    "the key set is larger than {KEYS_BYTES_MAX} bytes"
                )));
            }
        }
        of_set(&bytes)
    }
}

fn fits(key: &Key, id: Option<&str>, algorithm: Algorithm) -> bool {
    key.algorithm == algorithm && (id.is_none() || key.id.as_deref() == id)
}

fn of_file(path: &std::path::Path) -> Result<Vec<Key>, OidcError> {
    let read = |source| OidcError::Read {
        path: path.to_owned(),
        source,
    };
    of_set(&std::fs::read(path).map_err(read)?)
}

/// The keys of a set (RFC 7517, section 5) that verify what counts here; others are left aside.
fn of_set(bytes: &[u8]) -> Result<Vec<Key>, OidcError> {
    let set: Value = serde_json::from_slice(bytes)
        .map_err(|error| OidcError::Keys(format!("the key set is no JSON: {error}")))?;
    let listed = set.get("keys").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| OidcError::Keys("the key set has no list `keys`".to_owned()))?;
    let keys: Vec<Key> = listed.iter().take(KEYS_MAX).filter_map(of_jwk).collect();
    if keys.is_empty() {
        return Err(OidcError::Keys(
            "the key set holds no key for RS256, ES256 or EdDSA".to_owned(),
        ));
    }
    Ok(keys)
}

fn of_jwk(value: &Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    // The kind of key decides, never the token alone: what is public is not taken for a secret.
    let algorithm = if let AlgorithmParameters::RSA(_) = &jwk.algorithm {
        Algorithm::RS256
    } else if let AlgorithmParameters::EllipticCurve(key) = &jwk.algorithm {
        (key.curve == EllipticCurve::P256).then_some(Algorithm::ES256)?
    } else if let AlgorithmParameters::OctetKeyPair(key) = &jwk.algorithm {
        (key.curve == EllipticCurve::Ed25519).then_some(Algorithm::EdDSA)?
    } else {
        return None;
    };
    let named = value.get("alg").and_then(Value::as_str);
    if named.is_some_and(|name| name != format!("{algorithm:?}")) {
        return None;
    }
    Some(Key {
        id: jwk.common.key_id.clone(),
        algorithm,
        verifies: DecodingKey::from_jwk(&jwk).ok()?,
    })
}

/// Whose claims these are.
fn of_claims(
    settings: &OidcSettings,
    claims: &Map<String, Value>,
    now: UtcMicros,
) -> Result<Caller, Unknown> {
    let end = instant(claims.get("exp")).ok_or_else(|| refused("`exp` is no number"))?;
    if end.plus(LEEWAY_MICROS) <= now {
        return Err(refused("it has expired"));
    }
    if let Some(begin) = claims.get("nbf") {
        let begin = instant(Some(begin)).ok_or_else(|| refused("`nbf` is no number"))?;
        if begin.plus(-LEEWAY_MICROS) > now {
            return Err(refused("it does not hold yet"));
        }
    }
    let name = claim(claims, &settings.name_claim).and_then(Value::as_str);
    let name = name.map(str::trim).filter(|name| is_name(name));
    let name = name.ok_or_else(|| refused(format!("`{}` names nobody", settings.name_claim)))?;
    let roles = claim(claims, &settings.role_claim).map(words).unwrap_or_default();
    let roles: Vec<Role> = roles.into_iter().filter_map(|role| role.parse().ok()).collect();
    let area = match &settings.area_claim {
        None => None,
        Some(name) => area(claim(claims, name)).ok_or_else(|| refused(format!("`{name}` names no area")))?,
    };
    Ok(Caller::new(name, roles, area).known_until(Some(end.plus(LEEWAY_MICROS))))
}

/// A name that records and the audit can carry.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 100 && !name.chars().any(char::is_control)
}

/// The node that an area's claim names; `Some(None)`: everything.
fn area(claim: Option<&Value>) -> Option<Option<NodeId>> {
    match claim?.as_str()? {
        "*" => Some(None),
        node => NodeId::parse(node).ok().map(Some),
    }
}

/// A claim by its name, or by the way to it.
fn claim<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    // Names of claims may hold points themselves, as URLs do.
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        claim(claims.get(first)?.as_object()?, rest)
    })
}

/// A text's words, or a list's texts.
fn words(value: &Value) -> Vec<&str> {
    if let Some(text) = value.as_str() {
        return text.split_whitespace().collect();
    }
    let list = value.as_array().map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(Value::as_str).collect()
}

/// Seconds since 1970, whole or with a fraction (RFC 7519, section 2: `NumericDate`).
fn instant(value: Option<&Value>) -> Option<UtcMicros> {
    let value = value?;
    let seconds = match value.as_i64() {
        Some(seconds) => seconds,
        None => Duration::try_from_secs_f64(value.as_f64()?)
            .ok()?
            .as_secs()
            .try_into()
            .ok()?,
    };
    Some(UtcMicros(seconds.checked_mul(1_000_000)?))
}

#[cfg(test)]
mod tests;
