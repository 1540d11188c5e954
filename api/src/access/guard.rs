//! Asks each request who it is of, and whether that may.

use axum::{
    extract::Request,
    http::{HeaderMap, Method},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    Caller, Need, Unknown, refused,
    rights::{self, Right, Scope},
};
use crate::{
    app::App,
    guard,
    problem::{self, Problem},
};

/// Answers a request of a route if its caller may ask it. What changes something is told to the audit (target `gridtally::audit`).
pub(crate) async fn admitted(
    app: &App,
    (route, deadline): (&'static str, std::time::Duration),
    mut request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let caller = match caller_of(app, &method, route, request.headers()).await {
        Ok(caller) => caller,
        Err(problem) => {
            tracing::warn!(
                target: "gridtally::audit",
                surface = "http",
                %method,
                path = request.uri().path(),
                reason = problem.detail(),
                "refused"
            );
            return problem.into_response();
        }
    };
    let acts = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(&method);
    let told =
        (acts && route != "/api/v1/sql").then(|| (caller.name().to_owned(), request.uri().path().to_owned()));
    request.extensions_mut().insert(caller);
    let response = guard::within(deadline, request, next).await;
    if let Some((who, path)) = told {
        let status = response.status().as_u16();
        tracing::info!(target: "gridtally::audit", surface = "http", who, %method, path, status, "act");
    }
    response
}

async fn caller_of(
    app: &App,
    method: &Method,
    route: &'static str,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    let access = &app.settings.access;
    let right = match rights::of(method, route) {
        Right::Metrics if access.metrics_open() => Right::Open,
        Right::Metrics => Right::Caller(Need::Look, Scope::Narrowed),
        right @ (Right::Open | Right::Caller(..)) => right,
    };
    let caller = access.caller(headers).await;
    let Right::Caller(need, scope) = right else {
        // Open to everybody: nobody needs to be known, and nobody that is not is anybody.
        return Ok(caller.unwrap_or_else(|_| Caller::new("", [], None)));
    };
    let caller = caller.map_err(|unknown: Unknown| refused(unknown))?;
    if !caller.may(need) {
        return Err(Problem::new(
            problem::ROLE_NEEDED,
            format!(
                "`{}` has no role for this; needed is {}",
                caller.name(),
                need.in_words()
            ),
        ));
    }
    if scope == Scope::Whole
        && let Some(area) = caller.area()
    {
        return Err(Problem::new(
            problem::WHOLE_ONLY,
            format!(
                "`{}` is limited to `{area}`, and what is asked for belongs to no node",
                caller.name()
            ),
        ));
    }
    Ok(caller)
}
