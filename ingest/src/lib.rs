//! From a publish or a file to a durable log record.
//!
//! In data-path order:
//! - [`log`]: where a record becomes durable, and what the engine reads

pub mod log;
