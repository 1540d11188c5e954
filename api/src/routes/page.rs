//! The page, the description of the API, and their files. All are part of the binary.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{
    form::tagged,
    openapi,
    problem::{self, Problem},
};

/// Files under `/ui/`: name, media type, content.
const FILES: [(&str, &str, &str); 12] = [
    (
        "page.css",
        "text/css; charset=utf-8",
        include_str!("../../ui/page.css"),
    ),
    (
        "explanation.css",
        "text/css; charset=utf-8",
        include_str!("../../ui/explanation.css"),
    ),
    ("page.js", JAVASCRIPT, include_str!("../../ui/page.js")),
    ("api.js", JAVASCRIPT, include_str!("../../ui/api.js")),
    ("chart.js", JAVASCRIPT, include_str!("../../ui/chart.js")),
    ("docs.js", JAVASCRIPT, include_str!("../../ui/docs.js")),
    ("flow.js", JAVASCRIPT, include_str!("../../ui/flow.js")),
    ("format.js", JAVASCRIPT, include_str!("../../ui/format.js")),
    ("node.js", JAVASCRIPT, include_str!("../../ui/node.js")),
    ("sql.js", JAVASCRIPT, include_str!("../../ui/sql.js")),
    ("tree.js", JAVASCRIPT, include_str!("../../ui/tree.js")),
    ("icon.svg", "image/svg+xml", include_str!("../../ui/icon.svg")),
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

static OPENAPI: LazyLock<String> = LazyLock::new(openapi::document);

/// The page.
pub(crate) async fn index(headers: HeaderMap) -> Response {
    tagged(&headers, HTML, include_str!("../../ui/index.html").into())
}

/// A page to read about the API and to try it.
pub(crate) async fn docs(headers: HeaderMap) -> Response {
    tagged(&headers, HTML, include_str!("../../ui/docs.html").into())
}

/// A file of the pages.
pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match FILES.iter().find(|(file, _, _)| *file == name) {
        Some((_, media_type, content)) => tagged(&headers, media_type, (*content).into()),
        None => Problem::new(
            problem::UNKNOWN_ROUTE,
            format!("the pages have no file `{}`", crate::parameters::short(&name)),
        )
        .into_response(),
    }
}

/// The description of the API (OpenAPI 3.1).
#[utoipa::path(get, path = "/openapi.json", tag = "Operations", responses((status = 200, description = "This document.", body = serde_json::Value)))]
pub(crate) async fn openapi(headers: HeaderMap) -> Response {
    tagged(&headers, "application/json", OPENAPI.as_bytes().to_vec())
}
