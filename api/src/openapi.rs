//! The description of the API, made from the routes themselves.

use utoipa::OpenApi;

use crate::{metrics, problem::KINDS, routes};

#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "gridtally",
        description = "Smart-meter data platform: energy balances of DTs, feeders and every level above, live.\n\n\
                       Times are RFC 3339 in the configured zone, energy is integer Wh, days are civil days of that zone. \
                       Routes that answer tables give JSON, CSV (`text/csv`) or an Arrow IPC stream \
                       (`application/vnd.apache.arrow.stream`) by `Accept`. Errors are problem documents (RFC 9457). \
                       Answers to GET carry an entity tag. Where access is configured, every route but those for health and the public needs \
                       `Authorization: Bearer` with an API key or a token, and shows what lies in the caller's area. No balance is without coverage and status; where coverage is below the \
                       threshold, losses are null and the band in which they lie is given.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        routes::summary::get,
        routes::stream::get,
        routes::nodes::list,
        routes::nodes::ranking,
        routes::nodes::one,
        routes::nodes::children,
        routes::places::get,
        routes::consumers::list,
        routes::usage::get,
        routes::balance::get,
        routes::quality::get,
        routes::outages::list,
        routes::outages::one,
        routes::outages::cause,
        routes::public::outages,
        routes::interruptions::of_consumer,
        routes::reliability::get,
        routes::revenue::of_feeder,
        routes::revenue::of_node,
        routes::accounting::get,
        routes::accounting::bands,
        routes::accounting::prosumers,
        routes::accountability::of_feeder,
        routes::accountability::of_node,
        routes::accountability::post_manager,
        routes::accountability::post_action,
        routes::audit::technical,
        routes::audit::commercial,
        routes::reports::get,
        routes::compensation::list,
        routes::explanation::get,
        routes::compensation::acknowledge,
        routes::compensation::approvals::approve,
        routes::compensation::of_consumer,
        routes::sql::post,
        routes::import::post,
        routes::edits::post,
        routes::quarantine::list,
        routes::quarantine::replay,
        routes::operations::checkpoint,
        routes::session::get,
        routes::session::post,
        routes::session::delete,
        routes::webhooks::list,
        routes::webhooks::dead_letters,
        routes::webhooks::resend,
        routes::webhooks::enable,
        routes::operations::livez,
        routes::operations::readyz,
        metrics::get,
        routes::page::openapi,
    ),
    components(schemas(routes::stream::BalancesEvent, routes::stream::OutagesEvent, routes::stream::CheckpointEvent)),
    tags(
        (name = "Live", description = "The whole, now."),
        (name = "Network", description = "Nodes of the hierarchy, with their balance of a day."),
        (name = "Balance", description = "Energy balances and how far they can be trusted."),
        (name = "Outages", description = "Who is without supply, since when, and why."),
        (name = "Revenue", description = "Each feeder as a profit centre (FRAMES), and energy accounting."),
        (name = "Audit", description = "Where energy is not accounted for: which DTs and consumers to look at, with evidence."),
        (name = "Reports", description = "What a discom signs: to the management, the regulator, BEE."),
        (name = "Compensation", description = "What consumers are owed, for billing."),
        (name = "Data", description = "Files and edits in, SQL out."),
        (name = "Operations", description = "Health, metrics, publishing."),
    )
)]
struct Description;

/// The document, as JSON. The kinds of problems stand under `x-problems`.
pub(crate) fn document() -> String {
    let mut document = serde_json::to_value(Description::openapi()).unwrap_or_default();
    let problems: Vec<serde_json::Value> = KINDS
        .iter()
        .map(|kind| {
            serde_json::json!({ "slug": kind.slug, "title": kind.title, "status": kind.status.as_u16(), "advice": kind.advice })
        })
        .collect();
    if let Some(root) = document.as_object_mut() {
        root.insert("x-problems".to_owned(), problems.into());
    }
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

#[cfg(test)]
mod tests;
