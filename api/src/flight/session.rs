//! Who asks: passwords against the verifiers that PostgreSQL's surface keeps too, and tokens instead of passwords.
//!
//! [`Sessions::who`] is the one place that decides it, and is asked before every call but the handshake. A handshake gives a token: 32
//! random bytes, of which only a hash is kept, looked up by that hash. It is good for [`TOKEN_LIFE`], and as long as it is used.
//!
//! Without users everybody may ask, under the name that he gives.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use arrow_flight::BasicAuth;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use gridtally_ingest::key::{KeyHash, random};
use prost::Message;
use tokio::sync::Semaphore;
use tonic::{Status, metadata::MetadataMap};

use super::problem;
use crate::{
    access::{Access, Caller},
    pg::Verifier,
};

/// A token is good for so long at most.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3_600);
/// Tokens of one user; beyond it the one that was used longest ago ends.
const TOKENS_PER_USER_MAX: usize = 256;
/// Tokens of all users; the same.
const TOKENS_MAX: usize = 4_096;
/// Passwords that are checked at a time: each is thousands of hashes.
const CHECKS_MAX: usize = 2;
/// Longest name and longest password, bytes.
const CREDENTIAL_BYTES_MAX: usize = 1_024;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// Empty: somebody who gave no name where none is needed.
    pub(crate) name: String,
    /// What it may see.
    pub(crate) caller: Caller,
}

impl User {
    /// Somebody by this name, where everybody may ask.
    pub(crate) fn anyone(name: String) -> Self {
        Self {
            name,
            caller: Caller::anyone(),
        }
    }

    fn known(caller: Caller) -> Self {
        Self {
            name: caller.name().to_owned(),
            caller,
        }
    }
}

/// Users, and the tokens that they were given.
#[derive(Debug)]
pub(super) struct Sessions {
    users: Vec<(Caller, Verifier)>,
    /// Keys and tokens of who else may ask.
    access: Access,
    /// Makes what a name that nobody has looks like the same each time.
    secret: [u8; 32],
    /// A token that is not used for so long ends.
    idle: Duration,
    checks: Semaphore,
    /// By their hashes.
    tokens: Mutex<BTreeMap<KeyHash, Token>>,
}

#[derive(Debug)]
struct Token {
    user: User,
    born: Instant,
    used: Instant,
}

/// What a caller says of itself.
#[derive(Debug, PartialEq, Eq)]
enum Credentials {
    Nothing,
    Password { name: String, password: String },
    Token(String),
}

impl Sessions {
    /// With nobody in it. An error: the system gives no random numbers.
    pub(super) fn new(
        (users, access): (Vec<(Caller, Verifier)>, Access),
        idle: Duration,
    ) -> Result<Self, String> {
        Ok(Self {
            users,
            access,
            secret: random()?,
            idle,
            checks: Semaphore::new(CHECKS_MAX),
            tokens: Mutex::default(),
        })
    }

    /// Who asks, by the head of a call.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`: nobody that is known.
    pub(super) async fn who(&self, metadata: &MetadataMap) -> Result<User, Status> {
        match credentials(metadata)? {
            Credentials::Token(token) => self.of_bearer(&token).await,
            Credentials::Password { name, password } => self.login(name, password).await,
            Credentials::Nothing if self.is_open() => Ok(User::anyone(String::new())),
            Credentials::Nothing => Err(Status::unauthenticated(
                "user and password are needed, a key, or the token that a handshake gives",
            )),
        }
    }

    /// Whether everybody may ask.
    fn is_open(&self) -> bool {
        self.users.is_empty() && self.access.is_open()
    }

    /// Who has a handshake's token; else whose key it is, or of whom an identity provider's token speaks.
    async fn of_bearer(&self, token: &str) -> Result<User, Status> {
        if let Some(user) = self.of_token(token, Instant::now()) {
            return Ok(user);
        }
        if self.access.is_open() {
            return Err(stale());
        }
        let caller = self.access.bearer(token).await;
        caller.map(User::known).map_err(|unknown| {
            tracing::warn!(target: "gridtally::audit", surface = "flight", reason = %unknown, "refused");
            Status::unauthenticated(unknown.to_string())
        })
    }

    /// A token for who asks: by the head of the call, or by what it says first.
    pub(super) async fn begin(
        &self,
        metadata: &MetadataMap,
        said: impl Future<Output = Option<Vec<u8>>>,
    ) -> Result<String, Status> {
        let user = match credentials(metadata)? {
            Credentials::Token(token) => self.of_bearer(&token).await?,
            Credentials::Password { name, password } => self.login(name, password).await?,
            Credentials::Nothing => {
                let said = said.await.unwrap_or_default();
                let basic = BasicAuth::decode(said.as_slice())
                    .map_err(|_| problem::invalid("a handshake says user and password"))?;
                if basic.username.is_empty() && self.is_open() {
                    User::anyone(String::new())
                } else {
                    self.login(basic.username, basic.password).await?
                }
            }
        };
        self.give(user, Instant::now()).map_err(problem::internal)
    }

    /// Ends the token by which a call was made.
    pub(super) fn end(&self, metadata: &MetadataMap) {
        if let Ok(Credentials::Token(token)) = credentials(metadata) {
            self.lock().remove(&KeyHash::of(&token));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<KeyHash, Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of_token(&self, token: &str, now: Instant) -> Option<User> {
        let mut tokens = self.lock();
        self.forget(&mut tokens, now);
        let token = tokens.get_mut(&KeyHash::of(token))?;
        token.used = now;
        Some(token.user.clone())
    }

    /// Removes the tokens that are good no more.
    fn forget(&self, tokens: &mut BTreeMap<KeyHash, Token>, now: Instant) {
        tokens.retain(|_, token| {
            now.duration_since(token.born) < TOKEN_LIFE && now.duration_since(token.used) < self.idle
        });
    }

    fn give(&self, user: User, now: Instant) -> Result<String, String> {
        let token = URL_SAFE_NO_PAD.encode(random::<32>()?);
        let mut tokens = self.lock();
        self.forget(&mut tokens, now);
        let own = tokens.values().filter(|token| token.user == user).count();
        if own >= TOKENS_PER_USER_MAX {
            remove_oldest(&mut tokens, |token| token.user == user);
        } else if tokens.len() >= TOKENS_MAX {
            remove_oldest(&mut tokens, |_| true);
        }
        let kept = Token {
            user,
            born: now,
            used: now,
        };
        tokens.insert(KeyHash::of(&token), kept);
        Ok(token)
    }

    /// Checks a password. A name that nobody has takes as long as one that somebody has.
    async fn login(&self, name: String, password: String) -> Result<User, Status> {
        if name.len() > CREDENTIAL_BYTES_MAX || password.len() > CREDENTIAL_BYTES_MAX {
            return Err(problem::invalid("user or password is too long"));
        }
        if self.is_open() {
            return Ok(User::anyone(name));
        }
        let own = self.users.iter().find(|(known, _)| known.name() == name);
        let verifier = match own {
            Some((_, verifier)) => verifier.clone(),
            None => Verifier::of_nobody(&self.secret, &name).map_err(problem::internal)?,
        };
        let _permit = self.checks.acquire().await.map_err(problem::internal)?;
        let fits = tokio::task::spawn_blocking(move || verifier.fits(&password));
        if fits.await.map_err(problem::internal)?
            && let Some((caller, _)) = own
        {
            return Ok(User::known(caller.clone()));
        }
        let reason = format!("password authentication failed for user \"{name}\"");
        tracing::warn!(target: "gridtally::audit", surface = "flight", who = name, reason, "refused");
        Err(Status::unauthenticated(reason))
    }
}

fn stale() -> Status {
    Status::unauthenticated("the token is not known, or no more; shake hands again")
}

fn remove_oldest(tokens: &mut BTreeMap<KeyHash, Token>, of: impl Fn(&Token) -> bool) {
    let oldest = tokens
        .iter()
        .filter(|(_, token)| of(token))
        .min_by_key(|(_, token)| token.used)
        .map(|(hash, _)| *hash);
    if let Some(oldest) = oldest {
        tokens.remove(&oldest);
    }
}

/// The header `authorization`: `Basic` with user and password (RFC 7617), or `Bearer` with a token (RFC 6750).
fn credentials(metadata: &MetadataMap) -> Result<Credentials, Status> {
    let bad = || Status::unauthenticated("the header `authorization` is neither Basic nor Bearer");
    let Some(header) = metadata.get("authorization") else {
        return Ok(Credentials::Nothing);
    };
    let (scheme, rest) = header
        .to_str()
        .ok()
        .and_then(|text| text.trim().split_once(' '))
        .ok_or_else(bad)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Credentials::Token(rest.trim().to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(bad());
    }
    // Of the drivers one pads, and another does not.
    let decoded = STANDARD_NO_PAD
        .decode(rest.trim().trim_end_matches('='))
        .map_err(|_| bad())?;
    let text = String::from_utf8(decoded).map_err(|_| bad())?;
    let (name, password) = text.split_once(':').ok_or_else(bad)?;
    Ok(Credentials::Password {
        name: name.to_owned(),
        password: password.to_owned(),
    })
}

#[cfg(test)]
mod tests;
