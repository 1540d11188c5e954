//! From the log to balances and tables: state, SQL definitions, publishing.
//!
//! The engine only reads the log, live and at recovery, by one path; the tables are the log's past, so that
//! recovery is "tables, then the log's tail". In data-path order:
//! - [`network`]: the network as it was at any instant
//! - [`state`]: the validated value of every (meter, interval), an order-free merge
//! - [`vee`]: what is wrong with what meters said, and what stands where they said nothing
//! - [`balance`]: the SQL of `engine/sql` over what changed
//! - [`outage`]: interruptions of consumers and outages of the network, a pure function of the evidence
//! - [`reliability`]: the indices that come of them
//! - [`world`]: the live picture that ties them together
//! - [`compensation`]: regulations as data, and the ledger of what consumers are owed (pure; [`world`] drives it)
//! - [`suspicion`]: where energy is lost that nobody pays for, and whom to look at (pure)
//! - [`storage`], [`tables`]: Delta tables on storage that really syncs
//! - [`engine`]: the thread that drives it, checkpoints, recovery
//! - [`view`]: definitions over the tables, which SQL knows by name
//! - [`what_if`]: what another regulation would have cost, by the tables
//! - [`verify`]: the proof: what is published, computed once more from the raw tables

pub mod balance;
pub mod compensation;
pub mod engine;
pub mod network;
pub mod outage;
mod outbox;
pub mod reliability;
pub mod revenue;
#[cfg(test)]
mod rig;
pub mod state;
pub mod storage;
pub mod suspicion;
pub mod tables;
pub mod vee;
pub mod verify;
pub mod view;
pub mod what_if;
pub mod world;

pub use engine::{
    Change, ChangeFeed, Engine, EngineConfig, EngineError, Progress, Upkeep, Upkept, Waiting, WaitingPage,
};
pub use world::{Settings, World};
