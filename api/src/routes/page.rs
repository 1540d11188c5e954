//! The page, the description of the API, and their files. All are part of the binary: `build.rs` builds them from `ui/`.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};

use crate::{
    form::tagged,
    guide, openapi,
    problem::{self, Problem},
};

/// Files of the page by name.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));
/// What an explanation of compensation, the auditor's guide and reports are read and printed with; they need no script.
const PLAIN: &[(&str, &[u8])] = &[
    ("explanation.css", include_bytes!("../../ui/explanation.css")),
    ("guide.css", include_bytes!("../../ui/guide.css")),
    ("report.css", crate::reports::STYLESHEET.as_bytes()),
];

const HTML: &str = "text/html; charset=utf-8";
/// A file with a digest of its content in its name never changes.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

static OPENAPI: LazyLock<String> = LazyLock::new(openapi::document);
static GUIDE: LazyLock<String> = LazyLock::new(|| guide::page(guide::AUDITORS_GUIDE));
static QUESTIONS: LazyLock<String> = LazyLock::new(|| {
    let questions = guide::questions(guide::AUDITORS_GUIDE);
    serde_json::to_string(&questions).unwrap_or_default()
});

fn find(name: &str) -> Option<&'static [u8]> {
    FILES
        .iter()
        .chain(PLAIN)
        .find(|(file, _)| *file == name)
        .map(|(_, content)| *content)
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("html") => HTML,
        Some(_) | None => "application/octet-stream",
    }
}

/// Whether a name is of the build's making, with a digest of eight letters before its ending.
fn has_digest(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    stem.rsplit_once('-').is_some_and(|(_, digest)| digest.len() == 8)
        && (name.ends_with(".js") || name.ends_with(".css"))
}

fn page(name: &str, headers: &HeaderMap) -> Response {
    tagged(headers, HTML, find(name).unwrap_or_default().to_vec())
}

/// The page.
pub(crate) async fn index(headers: HeaderMap) -> Response {
    page("index.html", &headers)
}

/// A page to read about the API and to try it.
pub(crate) async fn docs(headers: HeaderMap) -> Response {
    page("docs.html", &headers)
}

/// The auditor's guide.
pub(crate) async fn guide(headers: HeaderMap) -> Response {
    tagged(&headers, HTML, GUIDE.as_bytes().to_vec())
}

/// Its questions, which the SQL console offers: a list of `{"title","sql"}`.
pub(crate) async fn guide_questions(headers: HeaderMap) -> Response {
    tagged(&headers, "application/json", QUESTIONS.as_bytes().to_vec())
}

/// A file of the pages.
pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(content) = find(&name) else {
        let why = format!("the pages have no file `{}`", crate::parameters::short(&name));
        return Problem::new(problem::UNKNOWN_ROUTE, why).into_response();
    };
    let mut response = tagged(&headers, media_type(&name), content.to_vec());
    if has_digest(&name) {
        response.headers_mut().insert(header::CACHE_CONTROL, KEPT);
    }
    response
}

/// The description of the API (OpenAPI 3.1).
#[utoipa::path(get, path = "/openapi.json", tag = "Operations", responses((status = 200, description = "This document.", body = serde_json::Value)))]
pub(crate) async fn openapi(headers: HeaderMap) -> Response {
    tagged(&headers, "application/json", OPENAPI.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_named_by_their_content_may_be_kept() {
        assert!(has_digest("index-2TotG2Iq.js"));
        assert!(has_digest("format-w5awMQSg.css"));
        assert!(!has_digest("icon.svg"));
        assert!(!has_digest("explanation.css"));
        assert!(!has_digest("index.html"));
    }
}
