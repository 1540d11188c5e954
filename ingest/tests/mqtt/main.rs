//! The MQTT endpoint at its socket: hand-made bytes, hostile bytes and real clients against a real log.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod answers;
mod bounds;
mod clients;
mod durability;
mod hostile;
mod support;
