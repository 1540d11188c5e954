//! From a publish or a file to a durable log record.
//!
//! In data-path order:
//! - [`mqtt`]: the endpoint where meters and gateways publish
//! - [`gate`]: what becomes of one publish: stored, stored as undecodable, refused
//! - [`subscribe`]: the same publishes from an existing broker
//! - [`files`]: CSV and Parquet files, row by row
//! - [`log`]: where a record becomes durable, and what the engine reads
//! - [`metrics`]: counts of all of it

pub mod files;
pub mod gate;
pub mod log;
pub mod metrics;
pub mod mqtt;
pub mod subscribe;
