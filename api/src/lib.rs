//! What people and programs see: REST, SSE, SQL over HTTP, operations routes and the page.
//!
//! Fixed routes and the stream read the live picture under short read locks (copy, then format); ad-hoc SQL reads published
//! snapshots in worker processes. Nothing here decides what a number is: balances come from the engine as they stand.
//!
//! - [`serve`]: the server, its bounds and its end
//! - [`sql`]: ad-hoc queries
//! - `pg`: the same by PostgreSQL's wire protocol
//! - `flight`: the same by Arrow Flight SQL
//! - `routes`: one module per route or family of routes
//! - [`access`]: who may ask what, and what part of it they see
//! - [`reports`]: reports that a discom signs, as HTML and CSV
//! - `figures`: a loss with what it takes to trust it (BAL-2), the same everywhere
//! - [`guide`]: the auditor's guide, its page and its questions
//! - `form`: JSON, CSV or Arrow, entity tags
//! - [`webhook`]: telling other systems what happened
//! - `problem`: errors (RFC 9457)

pub mod access;
mod app;
mod figures;
mod flight;
mod form;
mod guard;
pub mod guide;
mod html;
mod look;
mod metrics;
mod openapi;
mod parameters;
mod pg;
mod problem;
pub mod reports;
mod router;
mod routes;
mod server;
pub mod sql;
mod traffic;
pub mod webhook;

pub use app::{ApiSettings, ApiState};
pub use flight::{FlightSettings, serve_flight};
pub use pg::{PgSettings, Verifier, serve_pg};
pub use server::{ServeError, serve};
