//! What people and programs see: REST, SSE, SQL over HTTP, operations routes and the page.

pub mod sql;
