//! Errors as problem documents (RFC 9457): what failed, where, why, and what to do.

use axum::{
    Json,
    body::Bytes,
    extract::rejection::BytesRejection,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

/// Media type of a problem document.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// What `WWW-Authenticate` says where nobody is known.
const BEARER: &str = "Bearer realm=\"gridtally\"";
/// And where what came is of nobody.
const BEARER_REFUSED: &str = "Bearer realm=\"gridtally\", error=\"invalid_token\"";

/// A kind of problem: its `type`, `title` and `status`, and what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Last part of `type`, which is `/docs#{slug}`.
    pub(crate) slug: &'static str,
    /// `title`.
    pub(crate) title: &'static str,
    /// `status`.
    pub(crate) status: StatusCode,
    /// Shown at `/docs`.
    pub(crate) advice: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $slug:literal, $status:ident, $title:literal, $advice:literal;)+) => {
        $(pub(crate) const $name: Kind =
            Kind { slug: $slug, title: $title, status: StatusCode::$status, advice: $advice };)+
        /// Every kind of problem that the API answers with.
        pub(crate) const KINDS: &[Kind] = &[$($name),+];
    };
}

kinds! {
    BAD_PARAMETER = "bad-parameter", BAD_REQUEST, "A parameter cannot be used",
        "Correct the parameter that `detail` names; `/docs` lists what each route takes.";
    BAD_BODY = "bad-body", BAD_REQUEST, "The body cannot be used",
        "Correct the body as `detail` says.";
    BAD_QUERY = "bad-query", BAD_REQUEST, "The SQL cannot be run",
        "Correct the statement as `detail` says. One reading statement a request: SELECT, WITH, EXPLAIN, SHOW TABLES or DESCRIBE.";
    NO_CREDENTIALS = "no-credentials", UNAUTHORIZED, "Who asks is not said",
        "Send `Authorization: Bearer` with an API key (`gridtally access-key` makes one) or a token of the identity provider; the page signs in with `POST /api/v1/session`.";
    BAD_CREDENTIALS = "bad-credentials", UNAUTHORIZED, "Key, token or session are of nobody",
        "Take a key that the configuration lists and that has not expired, or a fresh token.";
    ROLE_NEEDED = "role-needed", FORBIDDEN, "The caller has no role for this",
        "Ask whoever runs the instance for a role that `detail` names (`[[access.keys]]`, `[[pg.users]]`, or the provider's claim).";
    WHOLE_ONLY = "whole-only", FORBIDDEN, "This is for callers without an area",
        "What is asked for belongs to no node. Ask somebody whose key has no `area`.";
    FOREIGN_ORIGIN = "foreign-origin", FORBIDDEN, "A page of another origin may not do this",
        "Send the request from the API's own page or from a program.";
    UNKNOWN_HOST = "unknown-host", MISDIRECTED_REQUEST, "This host name is not served",
        "Use an address, `localhost`, or a name that the configuration lists.";
    UNKNOWN_ROUTE = "unknown-route", NOT_FOUND, "There is no such route",
        "`/openapi.json` and `/docs` list the routes.";
    UNKNOWN_NODE = "unknown-node", NOT_FOUND, "There is no such node",
        "Search with `GET /api/v1/nodes?q=`, or import the `nodes` file that names it.";
    UNKNOWN_REPORT = "unknown-report", NOT_FOUND, "There is no such report",
        "`detail` lists those that there are.";
    UNKNOWN_OUTAGE = "unknown-outage", NOT_FOUND, "There is no such outage",
        "List those that stand with `GET /api/v1/outages`; what was published and is none any more is in `outages_history`.";
    UNKNOWN_WEBHOOK = "unknown-webhook", NOT_FOUND, "There is no such webhook",
        "List the configured ones with `GET /api/v1/webhooks`.";
    UNKNOWN_CONSUMER = "unknown-consumer", NOT_FOUND, "There is no such consumer",
        "Import the `connections` file that names it.";
    UNKNOWN_ENTRY = "unknown-entry", NOT_FOUND, "There is no such entry of compensation",
        "List them with `GET /api/v1/compensation/entries`.";
    NO_IDEMPOTENCY_KEY = "no-idempotency-key", BAD_REQUEST, "The request has no name",
        "Send `Idempotency-Key` with a text of your own, and the same text whenever you send the request again.";
    KEY_REUSED = "key-reused", UNPROCESSABLE_ENTITY, "The key names another request",
        "Take a new `Idempotency-Key` for a new request.";
    NOT_ACKNOWLEDGEABLE = "not-acknowledgeable", CONFLICT, "An entry cannot be acknowledged",
        "Acknowledge only what `GET /api/v1/compensation/entries?status=due` gave.";
    NOT_APPROVABLE = "not-approvable", CONFLICT, "An entry cannot be proposed or approved",
        "`GET /api/v1/compensation/entries?status=unproposed` and `?status=proposed` list what waits for whom.";
    WRONG_METHOD = "wrong-method", METHOD_NOT_ALLOWED, "The route does not take this method",
        "Use a method of the `Allow` header.";
    NOT_ACCEPTABLE = "not-acceptable", NOT_ACCEPTABLE, "No form of the answer is acceptable",
        "Accept `application/json`, `text/csv` or `application/vnd.apache.arrow.stream`.";
    TOO_SLOW = "too-slow", REQUEST_TIMEOUT, "The request did not arrive in time",
        "Send it again; large files go through `POST /api/v1/import/{kind}`.";
    TOO_LARGE = "too-large", PAYLOAD_TOO_LARGE, "The body is too large",
        "Split the file, or raise the limit that `detail` names.";
    WRONG_MEDIA_TYPE = "wrong-media-type", UNSUPPORTED_MEDIA_TYPE, "The body has no known form",
        "Send CSV (`text/csv`) or Parquet (`application/vnd.apache.parquet`).";
    TOO_MANY = "too-many", TOO_MANY_REQUESTS, "Too much of this at a time",
        "Try again when earlier requests have ended.";
    FAILED = "failed", INTERNAL_SERVER_ERROR, "The server failed",
        "The log of the server says more.";
    UNAVAILABLE = "unavailable", SERVICE_UNAVAILABLE, "The server cannot do this now",
        "Try again later; `/readyz` says what is amiss.";
    DEADLINE = "deadline", GATEWAY_TIMEOUT, "The answer took too long",
        "Ask for less: a shorter range, fewer nodes, a narrower query.";
}

/// A problem, as an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    parameter: Option<&'static str>,
}

/// The document of a problem (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemDocument<'a> {
    /// URI reference of the kind: where `/docs` describes it.
    #[serde(rename = "type")]
    #[schema(example = "/docs#unknown-node")]
    kind: String,
    /// The kind in words, the same each time.
    #[schema(example = "There is no such node")]
    title: &'a str,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// What failed this time: what, where and why.
    #[schema(example = "node `F999` is not in the network")]
    detail: &'a str,
    /// The parameter at fault; absent when none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            parameter: None,
        }
    }

    /// A parameter that cannot be used.
    pub(crate) fn parameter(name: &'static str, why: impl std::fmt::Display) -> Self {
        Self {
            kind: BAD_PARAMETER,
            detail: format!("parameter `{name}`: {why}"),
            parameter: Some(name),
        }
    }

    /// A body that was too large for `what`, or broke off.
    fn broken_body(rejection: &BytesRejection, what: &str) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::new(TOO_LARGE, format!("{what} is at most 1 MiB"));
        }
        Self::new(BAD_BODY, format!("the body broke off: {}", rejection.body_text()))
    }

    /// What failed this time.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The log or the engine cannot do it now.
    pub(crate) fn unavailable(error: &dyn std::error::Error) -> Self {
        Self::new(UNAVAILABLE, causes(error))
    }

    /// An error of ours, with its causes; logged, for someone must look.
    pub(crate) fn failed(what: &str, error: &dyn std::error::Error) -> Self {
        let detail = format!("{what}: {}", causes(error));
        tracing::error!(%detail, "request failed");
        Self::new(FAILED, detail)
    }
}

/// An error and its causes in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = ProblemDocument {
            kind: format!("/docs#{}", self.kind.slug),
            title: self.kind.title,
            status: self.kind.status.as_u16(),
            detail: &self.detail,
            parameter: self.parameter,
        };
        let mut response = (self.kind.status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // RFC 6750, section 3: a credential that came and is none is an invalid token.
        if self.kind == NO_CREDENTIALS {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(BEARER));
        } else if self.kind == BAD_CREDENTIALS {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(BEARER_REFUSED));
        }
        if self.kind == TOO_MANY || self.kind == UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}
/// What a body of JSON says. `what` names it where it is too large, and `refused` begins the sentence where it says something else.
pub(crate) fn said<T: DeserializeOwned>(
    body: Result<Bytes, BytesRejection>,
    what: &str,
    refused: &str,
) -> Result<T, Problem> {
    let body = body.map_err(|rejection| Problem::broken_body(&rejection, what))?;
    serde_json::from_slice(&body).map_err(|error| Problem::new(BAD_BODY, format!("{refused}: {error}")))
}

/// As [`said`]; an empty body says nothing but the default.
pub(crate) fn said_or_default<T: DeserializeOwned + Default>(
    body: Result<Bytes, BytesRejection>,
    what: &str,
    refused: &str,
) -> Result<T, Problem> {
    match body {
        Ok(body) if body.is_empty() => Ok(T::default()),
        body => said(body, what, refused),
    }
}
