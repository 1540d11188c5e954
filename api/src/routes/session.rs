//! POST, GET, DELETE /session: how the page is known, by a cookie that no script sees.

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::{self, Caller, Role},
    app::App,
    problem::{self, Problem},
};

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// An API key, or a token of the identity provider.
    key: String,
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Who {
    /// Whether access is open: nobody needs to sign in.
    open: bool,
    /// By what name the log calls the caller. Null: nobody is known.
    name: Option<String>,
    /// Roles: viewer, auditor, billing, operator, admin. Empty: nobody is known.
    roles: Vec<&'static str>,
    /// The node that the caller sees, with all below it. Null: everything, or nobody is known.
    area: Option<String>,
}

impl Who {
    fn of(app: &App, caller: &Caller) -> Self {
        Self {
            open: app.settings.access.is_open(),
            name: Some(caller.name().to_owned()).filter(|name| !name.is_empty()),
            roles: caller.roles().map(Role::as_str).collect(),
            area: caller.area().map(ToString::to_string),
        }
    }
}

fn answer(who: Who, cookie: Option<HeaderValue>) -> Response {
    let mut response = Json(who).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cookie) = cookie {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Who this request is of, by its key, token or cookie; nobody is no error here.
#[utoipa::path(
    get,
    path = "/api/v1/session",
    tag = "Operations",
    responses((status = 200, description = "Who asks.", body = Who))
)]
pub(crate) async fn get(State(app): State<App>, caller: Caller) -> Response {
    answer(Who::of(&app, &caller), None)
}

/// Signs a page in: the answer sets a cookie (`HttpOnly`, `SameSite=Strict`, and `Secure` where the page came by TLS) that stands for the
/// key from then on. Programs send the key itself.
#[utoipa::path(
    post,
    path = "/api/v1/session",
    tag = "Operations",
    request_body = SignIn,
    responses(
        (status = 200, description = "The session has begun.", body = Who),
        (status = 401, description = "The key is of nobody.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn post(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let asked: SignIn = problem::said(body, "a request to sign in", "to sign in is {\"key\":\"…\"}")?;
    match app.settings.access.begin(&asked.key).await? {
        Some(session) => {
            let cookie = access::set_cookie(&headers, &session.id, session.seconds);
            tracing::info!(target: "gridtally::audit", surface = "http", who = session.caller.name(), "signed in");
            Ok(answer(Who::of(&app, &session.caller), cookie))
        }
        None => Ok(answer(Who::of(&app, &Caller::anyone()), None)),
    }
}

/// Signs the page out.
#[utoipa::path(
    delete,
    path = "/api/v1/session",
    tag = "Operations",
    responses((status = 200, description = "The session has ended.", body = Who))
)]
pub(crate) async fn delete(State(app): State<App>, headers: HeaderMap) -> Response {
    app.settings.access.end(&headers);
    answer(
        Who::of(&app, &Caller::new("", [], None)),
        access::set_cookie(&headers, "", 0),
    )
}
