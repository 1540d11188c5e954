//! From a publish or a file to a durable log record.
//!
//! In data-path order:
//! - [`mqtt`]: the endpoint where meters and gateways publish
//! - [`publisher`]: who a connection speaks for
//! - [`gate`]: what becomes of one publish: stored, stored as undecodable, refused
//! - [`subscribe`]: the same publishes from an existing broker
//! - [`files`]: CSV and Parquet files, row by row
//! - [`log`]: where a record becomes durable, and what the engine reads
//! - [`key`]: keys of publishers and callers, and what is kept of them
//! - [`metrics`]: counts of all of it
//! - [`tls`]: certificates and keys of what listens

pub mod files;
pub mod gate;
pub mod key;
pub mod log;
pub mod metrics;
pub mod mqtt;
pub mod publisher;
pub mod subscribe;
pub mod tls;
