//! The routes.

pub(crate) mod balance;
pub(crate) mod edits;
pub(crate) mod import;
pub(crate) mod interruptions;
pub(crate) mod nodes;
pub(crate) mod operations;
pub(crate) mod outages;
pub(crate) mod page;
pub(crate) mod public;
pub(crate) mod quality;
pub(crate) mod quarantine;
pub(crate) mod reliability;
pub(crate) mod sql;
pub(crate) mod stream;
pub(crate) mod summary;
pub(crate) mod webhooks;
