//! From the log to balances: state, SQL definitions, and publishing to Delta tables.

pub mod storage;
pub mod tables;
