//! Who may ask what: callers, their roles, and the area that a caller's view ends at.
//!
//! A caller is known by an API key or by a token of an identity provider (a JWT), in `Authorization: Bearer …`: one header, for both. The
//! page has a cookie in its place (`POST /api/v1/session`). PostgreSQL's protocol has names and passwords of its own (`[[pg.users]]`), with
//! roles and areas alike.
//!
//! Without any key and without a provider access is open: everybody is [`Caller::anyone`]. That is for loopback, and the start says so.
//!
//! | Role | May |
//! |---|---|
//! | viewer | ask the fixed routes and the stream |
//! | auditor | that, and SQL |
//! | billing | read consumers and compensation, propose, approve and acknowledge |
//! | operator | as a viewer; and causes, edits, imports, quarantine, webhooks |
//! | admin | everything, checkpoints too |
//!
//! What a route needs stands in [`rights`], and what stands there not at all only an admin may.
//!
//! **Area.** A caller with an area sees its node and all below it, by the network as it stands now: whoever looks after a feeder sees its
//! whole history, whoever did so before sees none of it. What lies outside is answered as what does not exist (404, or no rows), so that
//! asking tells nothing. Fixed routes and the stream ask [`reach`]; SQL has it beneath the tables, where no statement reaches
//! (`sql::area`). What belongs to no node is for callers without area.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Response},
};
use gridtally_schemas::{Clock, NodeId, UtcMicros};

use crate::problem::{self, Problem};

pub(crate) mod guard;
mod oidc;
pub(crate) mod reach;
pub(crate) mod rights;
mod role;
mod session;

pub use gridtally_ingest::key::{KeyHash, NewKey};
pub use oidc::{KeySource, OidcError, OidcSettings};
pub use role::{Role, UnknownRole};

use oidc::Oidc;
use session::Sessions;
pub(crate) use session::{Session, set_cookie};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// By what name the log calls it; empty: access is open, and nobody knows.
    name: Arc<str>,
    roles: BTreeSet<Role>,
    /// The node that it sees, with all below it; `None`: everything.
    area: Option<NodeId>,
    /// It is nobody any more from this instant on; `None`: never.
    until: Option<UtcMicros>,
}

impl Caller {
    /// A caller that is known.
    #[must_use]
    pub fn new(name: &str, roles: impl IntoIterator<Item = Role>, area: Option<NodeId>) -> Self {
        Self {
            name: Arc::from(name),
            roles: roles.into_iter().collect(),
            area,
            until: None,
        }
    }

    /// The same, known until an instant.
    #[must_use]
    pub const fn known_until(mut self, until: Option<UtcMicros>) -> Self {
        self.until = until;
        self
    }

    /// Whoever asks where access is open.
    #[must_use]
    pub fn anyone() -> Self {
        Self::new("", [Role::Admin], None)
    }

    /// By what name the log calls it; empty where access is open.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its roles.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        self.roles.iter().copied()
    }

    /// The node that it sees, with all below it; `None`: everything.
    #[must_use]
    pub const fn area(&self) -> Option<&NodeId> {
        self.area.as_ref()
    }

    /// Whether one of its roles is enough.
    #[must_use]
    pub fn may(&self, need: Need) -> bool {
        self.roles.iter().any(|role| need.is_met_by(*role))
    }

    /// The person that a record names: whoever is said to have spoken, with the name by which this caller is known last and in brackets, for
    /// that one alone was authenticated. Where access is open it is what was said.
    pub(crate) fn person(&self, said: &str) -> String {
        let said = said.trim();
        if self.name.is_empty() {
            said.to_owned()
        } else if said.is_empty() || said == &*self.name {
            self.name.to_string()
        } else {
            format!("{said} ({})", self.name)
        }
    }

    /// The name of an approval's hand: of a known caller its own, whatever was said, for two people must be two.
    pub(crate) fn hand(&self, said: &str) -> String {
        if self.name.is_empty() {
            said.to_owned()
        } else {
            self.name.to_string()
        }
    }
}

/// What an act needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To look at the network, its balances, outages and figures.
    Look,
    /// To look at consumers and what they are owed.
    Consumers,
    /// To propose, approve and acknowledge compensation.
    Credit,
    /// To ask in SQL.
    Sql,
    /// To say causes, edit, import, replay, and tend to webhooks.
    Operate,
    /// Everything else.
    Administer,
}

impl Need {
    /// Roles that are enough, the least first.
    #[must_use]
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::Look => &[Role::Viewer, Role::Auditor, Role::Operator, Role::Admin],
            Self::Consumers => &[
                Role::Viewer,
                Role::Auditor,
                Role::Billing,
                Role::Operator,
                Role::Admin,
            ],
            Self::Credit => &[Role::Billing, Role::Admin],
            Self::Sql => &[Role::Auditor, Role::Admin],
            Self::Operate => &[Role::Operator, Role::Admin],
            Self::Administer => &[Role::Admin],
        }
    }

    fn is_met_by(self, role: Role) -> bool {
        self.roles().contains(&role)
    }

    /// The roles in words.
    #[must_use]
    pub fn in_words(self) -> String {
        let roles: Vec<&str> = self.roles().iter().map(|role| role.as_str()).collect();
        match roles.split_last() {
            Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
            Some((last, _)) => (*last).to_owned(),
            None => String::new(),
        }
    }
}

/// Why nobody is known to ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Nothing says who asks.
    #[error("no key and no token came with the request")]
    Silent,
    /// What was said is of nobody. It does not say whether the key was ever one.
    #[error("{0}")]
    Refused(String),
}

/// A key that may ask.
#[derive(Debug, Clone)]
pub struct AccessKey {
    /// What is kept of it.
    pub hash: KeyHash,
    /// Whose it is, until when.
    pub caller: Caller,
}

/// How callers are known.
#[derive(Debug, Clone)]
pub struct AccessSettings {
    /// API keys.
    pub keys: Vec<AccessKey>,
    /// The identity provider whose tokens count; `None`: none do.
    pub oidc: Option<OidcSettings>,
    /// Whether `/metrics` answers without a caller.
    pub metrics_open: bool,
    /// How long the page's cookie is good for.
    pub session: Duration,
    /// The machine's clock: keys and tokens end by it, whatever past is replayed.
    pub clock: Clock,
}

/// Who may ask. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Access(Option<Arc<Known>>);

/// What callers are known by.
#[derive(Debug)]
struct Known {
    keys: HashMap<KeyHash, Caller>,
    oidc: Option<Oidc>,
    sessions: Sessions,
    metrics_open: bool,
    clock: Clock,
}

impl Access {
    /// As the settings have it; open where they name nobody.
    ///
    /// # Errors
    /// [`OidcError`]: the file of the provider's keys cannot be used, or the system gives no client for their address.
    pub fn new(settings: AccessSettings) -> Result<Self, OidcError> {
        if settings.keys.is_empty() && settings.oidc.is_none() {
            return Ok(Self::default());
        }
        let keys = settings.keys.into_iter().map(|key| (key.hash, key.caller));
        Ok(Self(Some(Arc::new(Known {
            keys: keys.collect(),
            oidc: settings.oidc.map(Oidc::new).transpose()?,
            sessions: Sessions::new(settings.session),
            metrics_open: settings.metrics_open,
            clock: settings.clock,
        }))))
    }

    /// Whether anybody may ask everything.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.0.is_none()
    }

    /// Whether `/metrics` answers without a caller.
    pub(crate) fn metrics_open(&self) -> bool {
        self.0.as_ref().is_none_or(|known| known.metrics_open)
    }

    /// How long a caller is known yet.
    pub(crate) fn left(&self, caller: &Caller) -> Duration {
        let (Some(known), Some(until)) = (&self.0, caller.until) else {
            return Duration::MAX;
        };
        let micros = until.0.saturating_sub(known.clock.now().0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// Whose key or token this is: for every surface that has no headers of HTTP.
    ///
    /// # Errors
    /// [`Unknown`]: it is nobody's.
    pub async fn bearer(&self, credential: &str) -> Result<Caller, Unknown> {
        let Some(known) = &self.0 else {
            return Ok(Caller::anyone());
        };
        known.bearer(credential).await
    }

    /// Who sent these headers: by `Authorization`, else by the page's cookie.
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Unknown> {
        let Some(known) = &self.0 else {
            return Ok(Caller::anyone());
        };
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            return match value.to_str().ok().and_then(bearer) {
                Some(credential) => known.bearer(credential).await,
                None => Err(Unknown::Refused(
                    "`Authorization` must be `Bearer` with a key or a token".to_owned(),
                )),
            };
        }
        match session::cookie(headers) {
            Some(id) => known
                .sessions
                .find(id, known.clock.now())
                .ok_or_else(|| Unknown::Refused("the session has ended: sign in again".to_owned())),
            None => Err(Unknown::Silent),
        }
    }

    /// Begins a session of the page. `None`: access is open, and it needs none.
    pub(crate) async fn begin(&self, credential: &str) -> Result<Option<Session>, Problem> {
        let Some(known) = &self.0 else {
            return Ok(None);
        };
        let caller = known.bearer(credential.trim()).await.map_err(refused)?;
        let begun = known.sessions.begin(caller, known.clock.now());
        begun
            .map(Some)
            .map_err(|why| Problem::new(problem::UNAVAILABLE, why))
    }

    /// Ends the session that a request's cookie names.
    pub(crate) fn end(&self, headers: &HeaderMap) {
        if let (Some(known), Some(id)) = (&self.0, session::cookie(headers)) {
            known.sessions.end(id);
        }
    }
}

impl Known {
    async fn bearer(&self, credential: &str) -> Result<Caller, Unknown> {
        // A JWT has three parts; a key of ours has no point.
        if let Some(oidc) = &self.oidc
            && credential.split('.').count() == 3
        {
            return oidc.caller(credential, self.clock.now()).await;
        }
        let caller = self.keys.get(&KeyHash::of(credential)).cloned();
        let caller = caller.ok_or_else(|| Unknown::Refused("the key is not known".to_owned()))?;
        match caller.until {
            Some(until) if until <= self.clock.now() => {
                Err(Unknown::Refused(format!("the key `{}` has expired", caller.name)))
            }
            Some(_) | None => Ok(caller),
        }
    }
}

/// What follows `Bearer` in a header.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, credential) = value.split_once(' ')?;
    Some(credential.trim())
        .filter(|credential| scheme.eq_ignore_ascii_case("bearer") && !credential.is_empty())
}

/// The answer to whom nobody knows.
pub(crate) fn refused(unknown: Unknown) -> Problem {
    match unknown {
        Unknown::Silent => Problem::new(
            problem::NO_CREDENTIALS,
            "the route needs `Authorization: Bearer` with an API key or a token",
        ),
        Unknown::Refused(why) => Problem::new(problem::BAD_CREDENTIALS, why),
    }
}

/// The caller that [`guard`] has put beside the request.
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        // A route that stands beside the guard has no caller; it must not take anybody for one.
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| refused(Unknown::Silent).into_response())
    }
}

#[cfg(test)]
mod tests;
