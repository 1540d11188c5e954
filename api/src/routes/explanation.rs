//! GET /compensation/entries/{id}/explanation: an entry as a tree that a consumer's lawyer can follow, as JSON or as a page to print.
//!
//! Amount ─ rule, clause and edition ─ outage and cause ─ interruption ─ meter events and reads with their arrival ─ connection and network
//! as recorded.

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use gridtally_engine::{compensation::ledger::EntryId, world::compensation::Case};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::{Caller, reach::Reach},
    app::App,
    form,
    parameters::{Parameters, short},
    problem::{self, Problem},
};

mod arrivals;
mod page;
mod tree;

use arrivals::Arrivals;

/// One statement, and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Statement {
    /// What it is of: entry, sum, rule, default, outage, announcement, cause, request, claim, interruption, events, reads, connection or node.
    pub(crate) kind: &'static str,
    /// In a sentence.
    pub(crate) says: String,
    /// Its facts, by name.
    #[schema(value_type = Object)]
    #[serde(serialize_with = "as_map")]
    pub(crate) facts: Vec<(&'static str, String)>,
    /// What it rests on.
    #[schema(no_recursion)]
    pub(crate) because: Vec<Statement>,
}

fn as_map<S: serde::Serializer>(facts: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(facts.iter().map(|(name, value)| (name, value)))
}

impl Statement {
    pub(crate) fn new(kind: &'static str, says: impl Into<String>) -> Self {
        Self {
            kind,
            says: says.into(),
            facts: Vec::new(),
            because: Vec::new(),
        }
    }

    pub(crate) fn fact<T: ToString>(self, name: &'static str, value: T) -> Self {
        self.fact_if(name, Some(value))
    }

    pub(crate) fn fact_if<T: ToString>(mut self, name: &'static str, value: Option<T>) -> Self {
        self.facts.extend(value.map(|value| (name, value.to_string())));
        self
    }

    pub(crate) fn because(mut self, others: impl IntoIterator<Item = Self>) -> Self {
        self.because.extend(others);
        self
    }
}

fn unknown(id: &str) -> Problem {
    Problem::new(
        problem::UNKNOWN_ENTRY,
        format!("no entry of compensation is called `{}`", short(id)),
    )
}

/// How an amount came about, down to what the meters said and when that arrived. As JSON, or with `Accept: text/html` as a page to print.
#[utoipa::path(
    get,
    path = "/api/v1/compensation/entries/{id}/explanation",
    tag = "Compensation",
    params(("id" = String, Path, description = "The entry.")),
    responses(
        (status = 200, description = "The explanation.", content((Statement = "application/json"), (String = "text/html"))),
        (status = 404, description = "There is no such entry.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.finish()?;
    let entry_id = EntryId::from(id.as_str());
    let now = app.clock.now();
    let case: Option<Case> = app.engine.read(|world| {
        let held = world.compensation_entry(&entry_id)?;
        let reach = Reach::of(world, &caller, now);
        if !reach.consumer(&held.entry.content.consumer_id) {
            return None;
        }
        world.compensation_case(&entry_id, now)
    });
    let case = case.ok_or_else(|| unknown(&id))?;
    let arrivals = Arrivals::of(&app, &case).await?;
    let statement = tree::explanation(&app.zone, now, &case, &arrivals);
    if form::prefers_html(&headers) {
        let page = page::html(&app.zone, &statement);
        return Ok(form::tagged(
            &headers,
            "text/html; charset=utf-8",
            page.into_bytes(),
        ));
    }
    form::answer(&headers, &statement)
}
