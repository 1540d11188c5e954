//! The synthetic utility: a seeded discom with truth on file, publishing over real MQTT.
//!
//! [`Fleet`] is a pure function of its [`FleetConfig`]: the same seed gives the same network, the same energies and the same
//! delivery plan on every machine, for any size, and any interval of any meter can be computed alone. All energies are
//! integers and balance exactly: what a DT's meter counts is what its consumers drew, plus technical loss, plus theft.
//!
//! In data-path order:
//! - [`config`]: what can be chosen
//! - [`calendar`], [`shape`]: quarter hours with what they mean for load and sunshine
//! - [`layout`], [`feeder`]: the network, from the discom down to the meter
//! - [`flow`]: energies of one feeder in one quarter hour
//! - [`defect`]: what is wrong with meters, for validation to find
//! - [`mapping`]: who is recorded on another DT than its own, for validation to find
//! - [`fraud`]: tamper events with a drop, and bills below the reads, for suspicion to find
//! - [`outage`]: when supply fails, and which word of it is lost, late or told twice
//! - [`delivery`]: which reads arrive on time, late, twice, corrected or never
//! - [`truth`]: what the balances are, and what they must be given what was delivered
//! - [`files`]: master data and truth on disk
//! - [`publish`]: a fleet of real MQTT clients at real time, time-lapse or full speed

pub mod calendar;
pub mod config;
pub mod defect;
pub mod delivery;
pub mod feeder;
pub mod files;
pub mod flow;
pub mod fraud;
pub mod layout;
pub mod mapping;
pub mod outage;
mod prng;
pub mod publish;
pub mod shape;
pub mod truth;

pub use calendar::{Moment, Quarter, Span};
pub use config::{FleetConfig, FleetError, Imperfections};
pub use feeder::{Feeder, Meter, MeterRef};
pub use layout::Fleet;
