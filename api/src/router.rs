//! Which route is answered by what.

use std::time::Duration;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::Uri,
    middleware::{self, Next},
    routing::{MethodRouter, get, post},
};
use tower_http::compression::CompressionLayer;

use crate::{
    access::{self, rights},
    app::App,
    guard::{self, NO_DEADLINE},
    metrics,
    parameters::short,
    problem::{self, Problem},
    routes::{
        accountability, accounting, audit, balance, compensation, consumers, edits, explanation, import,
        interruptions, nodes, operations, outages, page, places, public, quality, quarantine, reliability,
        reports, revenue, session, sql, stream, summary, usage, webhooks,
    },
};

/// Largest body of any route but imports, bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A route: its template, the time that its answer may take, and who answers.
type Route = (&'static str, Duration, MethodRouter<App>);

/// Every route.
fn routes(deadline: Duration) -> Vec<Route> {
    let mut routes = routes_that_read(deadline);
    routes.extend(routes_of_revenue(deadline));
    routes.extend(routes_that_act(deadline));
    routes
}

/// What looks at the network, its balances, outages and compensation.
fn routes_that_read(deadline: Duration) -> Vec<Route> {
    vec![
        ("/api/v1/summary", deadline, get(summary::get)),
        ("/api/v1/nodes", deadline, get(nodes::list)),
        ("/api/v1/nodes/ranking", deadline, get(nodes::ranking)),
        ("/api/v1/nodes/{id}", deadline, get(nodes::one)),
        ("/api/v1/nodes/{id}/children", deadline, get(nodes::children)),
        ("/api/v1/nodes/{id}/balance", deadline, get(balance::get)),
        ("/api/v1/nodes/{id}/reliability", deadline, get(reliability::get)),
        (
            "/api/v1/nodes/{id}/audit/technical",
            deadline,
            get(audit::technical),
        ),
        (
            "/api/v1/nodes/{id}/audit/commercial",
            deadline,
            get(audit::commercial),
        ),
        ("/api/v1/places", deadline, get(places::get)),
        ("/api/v1/consumers", deadline, get(consumers::list)),
        ("/api/v1/consumers/{id}/usage", deadline, get(usage::get)),
        ("/api/v1/data-quality", deadline, get(quality::get)),
        ("/api/v1/outages", deadline, get(outages::list)),
        ("/api/v1/outages/{id}", deadline, get(outages::one)),
        (
            "/api/v1/public/outages",
            deadline,
            get(public::outages).options(public::preflight),
        ),
        (
            "/api/v1/consumers/{id}/interruptions",
            deadline,
            get(interruptions::of_consumer),
        ),
        (
            "/api/v1/consumers/{id}/compensation",
            deadline,
            get(compensation::of_consumer),
        ),
        ("/api/v1/compensation/entries", deadline, get(compensation::list)),
        (
            "/api/v1/compensation/entries/{id}/explanation",
            deadline,
            get(explanation::get),
        ),
        ("/api/v1/reports/{name}", NO_DEADLINE, get(reports::get)),
        ("/api/v1/stream", deadline, get(stream::get)),
    ]
}

/// Each feeder's revenue, energy accounting, and who answers for it.
fn routes_of_revenue(deadline: Duration) -> Vec<Route> {
    vec![
        ("/api/v1/nodes/{id}/revenue", deadline, get(revenue::of_node)),
        ("/api/v1/feeders/{id}/revenue", deadline, get(revenue::of_feeder)),
        (
            "/api/v1/feeders/{id}/accountability",
            deadline,
            get(accountability::of_feeder),
        ),
        (
            "/api/v1/nodes/{id}/accountability",
            deadline,
            get(accountability::of_node),
        ),
        ("/api/v1/nodes/{id}/accounting", deadline, get(accounting::get)),
        (
            "/api/v1/nodes/{id}/consumption-bands",
            deadline,
            get(accounting::bands),
        ),
        (
            "/api/v1/nodes/{id}/prosumers",
            NO_DEADLINE,
            get(accounting::prosumers),
        ),
        (
            "/api/v1/feeders/{id}/manager",
            NO_DEADLINE,
            post(accountability::post_manager),
        ),
        (
            "/api/v1/feeders/{id}/actions",
            NO_DEADLINE,
            post(accountability::post_action),
        ),
    ]
}

/// What takes words and files in, runs queries, serves the pages and whoever runs the platform.
fn routes_that_act(deadline: Duration) -> Vec<Route> {
    vec![
        ("/api/v1/outages/{id}/cause", NO_DEADLINE, post(outages::cause)),
        (
            "/api/v1/compensation/acknowledgements",
            NO_DEADLINE,
            post(compensation::acknowledge),
        ),
        (
            "/api/v1/compensation/approvals",
            NO_DEADLINE,
            post(compensation::approvals::approve),
        ),
        ("/api/v1/sql", NO_DEADLINE, post(sql::post)),
        ("/api/v1/import/{kind}", NO_DEADLINE, post(import::post)),
        ("/api/v1/quarantine", deadline, get(quarantine::list)),
        ("/api/v1/quarantine/replay", NO_DEADLINE, post(quarantine::replay)),
        ("/api/v1/edits", NO_DEADLINE, post(edits::post)),
        ("/api/v1/webhooks", deadline, get(webhooks::list)),
        (
            "/api/v1/webhooks/{name}/dead-letters",
            deadline,
            get(webhooks::dead_letters),
        ),
        (
            "/api/v1/webhooks/{name}/dead-letters/resend",
            deadline,
            post(webhooks::resend),
        ),
        ("/api/v1/webhooks/{name}/enable", deadline, post(webhooks::enable)),
        ("/api/v1/checkpoint", NO_DEADLINE, post(operations::checkpoint)),
        (
            "/api/v1/session",
            deadline,
            get(session::get).post(session::post).delete(session::delete),
        ),
        ("/livez", deadline, get(operations::livez)),
        ("/readyz", deadline, get(operations::readyz)),
        ("/metrics", deadline, get(metrics::get)),
        ("/openapi.json", deadline, get(page::openapi)),
        ("/docs", deadline, get(page::docs)),
        ("/docs/auditors-guide", deadline, get(page::guide)),
        (
            "/docs/auditors-guide/questions.json",
            deadline,
            get(page::guide_questions),
        ),
        ("/", deadline, get(page::index)),
        ("/ui/{file}", deadline, get(page::file)),
    ]
}

/// The router.
pub(crate) fn router(app: App) -> Router {
    let mut router = Router::new();
    for (route, deadline, handlers) in routes(app.settings.deadline) {
        router = router.route(route, measured(&app, (route, deadline), handlers));
    }
    let unknown = measured(
        &app,
        (rights::UNKNOWN, app.settings.deadline),
        axum::routing::any(unknown),
    );
    router
        .fallback_service(unknown.with_state(app.clone()))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CompressionLayer::new().gzip(true))
        .layer(middleware::from_fn_with_state(app.clone(), guard::every))
        .with_state(app)
}

async fn unknown(uri: Uri) -> Problem {
    Problem::new(
        problem::UNKNOWN_ROUTE,
        format!("nothing is at `{}`", short(uri.path())),
    )
}

/// Asks who may, counts the answers of a route and bounds their time.
fn measured(
    app: &App,
    (route, deadline): (&'static str, Duration),
    handlers: MethodRouter<App>,
) -> MethodRouter<App> {
    let app = app.clone();
    handlers.layer(middleware::from_fn(move |request: Request, next: Next| {
        let app = app.clone();
        async move {
            let started = tokio::time::Instant::now();
            let method = request.method().clone();
            let response = access::guard::admitted(&app, (route, deadline), request, next).await;
            let response = guard::with_document(&method, route, response);
            app.traffic.count(
                known(&method),
                route,
                response.status().as_u16(),
                started.elapsed(),
            );
            response
        }
    }))
}

/// A method as a label; methods are of the caller's making, labels are not.
fn known(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        _ => "other",
    }
}

/// The templates of all routes.
#[cfg(test)]
pub(crate) fn templates() -> Vec<&'static str> {
    routes(NO_DEADLINE)
        .into_iter()
        .map(|(route, _, _)| route)
        .collect()
}
