//! What each route needs of its caller, and whether it can show a part only.
//!
//! A route that does not stand here is for admins without area: whoever adds one says here what it needs. The test holds the list
//! against the router.

use axum::http::Method;

use super::Need;

/// What a caller with an area gets of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What lies in its area.
    Narrowed,
    /// Nothing: what the route shows or does belongs to no node.
    Whole,
}

/// Who may ask a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// Everybody, known or not.
    Open,
    /// As [`Need::Look`], or everybody where `access.metrics_open` says so.
    Metrics,
    /// Who has a role for it.
    Caller(Need, Scope),
}

use Need::{Administer, Consumers, Credit, Look, Operate, Sql};
use Right::{Caller, Metrics, Open};
use Scope::{Narrowed, Whole};

const GET: &str = "GET";
const POST: &str = "POST";
const DELETE: &str = "DELETE";

/// Every route, by method and template.
const RIGHTS: &[(&str, &str, Right)] = &[
    (GET, "/api/v1/summary", Caller(Look, Narrowed)),
    (GET, "/api/v1/nodes", Caller(Look, Narrowed)),
    (GET, "/api/v1/nodes/ranking", Caller(Look, Narrowed)),
    (GET, "/api/v1/nodes/{id}", Caller(Look, Narrowed)),
    (GET, "/api/v1/nodes/{id}/children", Caller(Look, Narrowed)),
    (GET, "/api/v1/nodes/{id}/balance", Caller(Look, Narrowed)),
    (GET, "/api/v1/nodes/{id}/reliability", Caller(Look, Narrowed)),
    (GET, "/api/v1/nodes/{id}/revenue", Caller(Look, Narrowed)),
    (GET, "/api/v1/feeders/{id}/revenue", Caller(Look, Narrowed)),
    (GET, "/api/v1/nodes/{id}/audit/technical", Caller(Look, Narrowed)),
    (
        GET,
        "/api/v1/nodes/{id}/audit/commercial",
        Caller(Consumers, Narrowed),
    ),
    (GET, "/api/v1/nodes/{id}/accounting", Caller(Look, Narrowed)),
    (
        GET,
        "/api/v1/nodes/{id}/consumption-bands",
        Caller(Look, Narrowed),
    ),
    (GET, "/api/v1/nodes/{id}/prosumers", Caller(Look, Narrowed)),
    (GET, "/api/v1/nodes/{id}/accountability", Caller(Look, Narrowed)),
    (GET, "/api/v1/feeders/{id}/accountability", Caller(Look, Narrowed)),
    (POST, "/api/v1/feeders/{id}/manager", Caller(Operate, Narrowed)),
    (POST, "/api/v1/feeders/{id}/actions", Caller(Operate, Narrowed)),
    (GET, "/api/v1/reports/{name}", Caller(Look, Narrowed)),
    (GET, "/api/v1/places", Caller(Look, Narrowed)),
    (GET, "/api/v1/consumers", Caller(Consumers, Narrowed)),
    (GET, "/api/v1/consumers/{id}/usage", Caller(Consumers, Narrowed)),
    (GET, "/api/v1/data-quality", Caller(Look, Narrowed)),
    (GET, "/api/v1/outages", Caller(Look, Narrowed)),
    (GET, "/api/v1/outages/{id}", Caller(Look, Narrowed)),
    (GET, "/api/v1/public/outages", Open),
    (
        GET,
        "/api/v1/consumers/{id}/interruptions",
        Caller(Consumers, Narrowed),
    ),
    (
        GET,
        "/api/v1/consumers/{id}/compensation",
        Caller(Consumers, Narrowed),
    ),
    (GET, "/api/v1/compensation/entries", Caller(Consumers, Narrowed)),
    (
        GET,
        "/api/v1/compensation/entries/{id}/explanation",
        Caller(Consumers, Narrowed),
    ),
    (GET, "/api/v1/stream", Caller(Look, Narrowed)),
    (POST, "/api/v1/outages/{id}/cause", Caller(Operate, Narrowed)),
    (
        POST,
        "/api/v1/compensation/acknowledgements",
        Caller(Credit, Narrowed),
    ),
    (POST, "/api/v1/compensation/approvals", Caller(Credit, Narrowed)),
    (POST, "/api/v1/sql", Caller(Sql, Narrowed)),
    (POST, "/api/v1/import/{kind}", Caller(Operate, Whole)),
    (GET, "/api/v1/quarantine", Caller(Look, Whole)),
    (POST, "/api/v1/quarantine/replay", Caller(Operate, Whole)),
    (POST, "/api/v1/edits", Caller(Operate, Narrowed)),
    (GET, "/api/v1/webhooks", Caller(Operate, Whole)),
    (
        GET,
        "/api/v1/webhooks/{name}/dead-letters",
        Caller(Operate, Whole),
    ),
    (
        POST,
        "/api/v1/webhooks/{name}/dead-letters/resend",
        Caller(Operate, Whole),
    ),
    (POST, "/api/v1/webhooks/{name}/enable", Caller(Operate, Whole)),
    (POST, "/api/v1/checkpoint", Caller(Administer, Whole)),
    (GET, "/api/v1/session", Open),
    (POST, "/api/v1/session", Open),
    (DELETE, "/api/v1/session", Open),
    (GET, "/livez", Open),
    (GET, "/readyz", Open),
    (GET, "/metrics", Metrics),
    (GET, "/openapi.json", Open),
    (GET, "/docs", Open),
    (GET, "/docs/auditors-guide", Open),
    (GET, "/docs/auditors-guide/questions.json", Open),
    (GET, "/", Open),
    (GET, "/ui/{file}", Open),
];

/// What is answered at no route.
pub(crate) const UNKNOWN: &str = "unknown";

/// Who may send `method` to the route of this template.
pub(crate) fn of(method: &Method, template: &str) -> Right {
    if template == UNKNOWN {
        return Open;
    }
    let method = match method.as_str() {
        "HEAD" => GET,
        // What a browser asks before it sends; only the public route answers it.
        "OPTIONS" => return Open,
        method => method,
    };
    let named = RIGHTS
        .iter()
        .find(|(known, route, _)| *known == method && *route == template);
    named.map_or(Caller(Administer, Whole), |(_, _, right)| *right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_a_right_and_every_right_a_route() {
        let templates = crate::router::templates();
        for template in &templates {
            let named = RIGHTS.iter().any(|(_, route, _)| route == template);
            assert!(named, "{template} stands in no right: only admins reach it");
        }
        for (method, route, _) in RIGHTS {
            assert!(templates.contains(route), "{method} {route} is no route");
        }
    }

    #[test]
    fn what_is_not_named_is_for_admins_without_area() {
        assert_eq!(of(&Method::GET, "/api/v1/secret"), Caller(Administer, Whole));
        assert_eq!(of(&Method::PUT, "/api/v1/nodes"), Caller(Administer, Whole));
        assert_eq!(of(&Method::HEAD, "/api/v1/nodes"), Caller(Look, Narrowed));
        assert_eq!(of(&Method::OPTIONS, "/api/v1/public/outages"), Open);
    }
}
