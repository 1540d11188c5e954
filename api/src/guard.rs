//! What holds for every request: who may ask, how long it may take, what every answer says.

use std::time::Duration;

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    parameters::short,
    problem::{self, Problem},
    server::Connection,
};

/// What the page may load: its own files and this API, nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SAID_ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Longest that a request without a deadline of its own may take.
pub(crate) const NO_DEADLINE: Duration = Duration::MAX;

/// Whose turn a request is, and what its answer says beside its content.
pub(crate) async fn every(State(app): State<App>, request: Request, next: Next) -> Response {
    let refused =
        check_host(&app, request.headers()).and_then(|()| check_origin(request.method(), request.headers()));
    let open = request
        .extensions()
        .get::<ConnectInfo<Connection>>()
        .map(|ConnectInfo(connection)| connection.open());
    let mut response = match refused {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    drop(open);
    let is_open = response
        .headers()
        .contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    for (name, value) in SAID_ALWAYS {
        response.headers_mut().insert(name, value);
    }
    if is_open {
        let anyone = HeaderValue::from_static("cross-origin");
        response
            .headers_mut()
            .insert("cross-origin-resource-policy", anyone);
    }
    response
}

/// Ends an answer that takes too long.
pub(crate) async fn within(deadline: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            problem::DEADLINE,
            format!("no answer within {} s", deadline.as_secs()),
        )
        .into_response(),
    }
}

/// Gives a refusal of the router its document.
pub(crate) fn with_document(method: &Method, route: &str, response: Response) -> Response {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let allowed = allow
        .as_ref()
        .and_then(|value| value.to_str().ok())
        .unwrap_or("none");
    let detail = format!("{route} takes {allowed}, not {method}");
    let mut answer = Problem::new(problem::WRONG_METHOD, detail).into_response();
    if let Some(allow) = allow {
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    answer
}

/// The name in `Host`, without port.
fn host_name(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map(|(address, _)| address);
    }
    Some(host.split_once(':').map_or(host, |(name, _)| name))
}

/// Refuses names that were not configured: a page elsewhere may have its own name resolve to this address.
fn check_host(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(name) = host_name(headers) else {
        return Err(Problem::new(
            problem::UNKNOWN_HOST,
            "the request has no usable `Host`",
        ));
    };
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    let known = is_address
        || name.eq_ignore_ascii_case("localhost")
        || app
            .settings
            .hosts
            .iter()
            .any(|host| host.eq_ignore_ascii_case(name));
    if known {
        Ok(())
    } else {
        Err(Problem::new(
            problem::UNKNOWN_HOST,
            format!("host `{}` is not served here", short(name)),
        ))
    }
}

/// Refuses what a page of another origin sends: browsers send some requests without asking.
fn check_origin(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) {
        return Ok(());
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or_default();
    let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    if authority.is_some() && authority == own {
        return Ok(());
    }
    Err(Problem::new(
        problem::FOREIGN_ORIGIN,
        format!("origin `{}` may not send {method}", short(origin)),
    ))
}

#[cfg(test)]
mod tests;
