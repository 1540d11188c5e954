//! The words of gridtally: ids, units, reads, network, wire format and table schemas.
//!
//! Everything here is pure: no file, no socket, no clock, no global state. Text from outside is parsed once, here,
//! into types that can only hold what is valid; the other crates never see a raw id or an unlabelled number.
//!
//! In data-path order:
//! - [`id`], [`quantity`], [`time`]: the smallest words
//! - [`read`]: what a meter says (interval reads, register reads, power events)
//! - [`network`]: what the network is (nodes, meters, connections), effective-dated
//! - [`billing`]: what consumers were billed for
//! - [`accountability`]: who answers for a feeder, why it deviates, what is planned against it
//! - [`compensation`]: what billing and people say of compensation, and requests with a time limit
//! - [`edit`]: what a person sets in a read's place
//! - [`outage`]: what people say of outages: plans, hours of supply, causes
//! - [`quarantine`]: what waited and is judged good again
//! - [`topic`], [`wire`]: how a publish names its sender and carries its reads
//! - [`record`]: what the log holds
//! - [`table`]: the Arrow schema of every published table

pub mod accountability;
pub mod billing;
pub mod compensation;
pub mod edit;
pub mod id;
pub mod network;
pub mod outage;
pub mod quantity;
pub mod quarantine;
pub mod read;
pub mod record;
pub mod table;
pub mod time;
pub mod topic;
pub mod varint;
pub mod wire;

pub use id::{ConsumerId, GatewayId, IdError, IdList, MeterId, NodeId};
pub use quantity::{IntervalMinutes, Multiplier, WattHours};
pub use read::{IntervalRead, MeterSpan, PowerEvent, Publish, RegisterRead};
pub use time::{Clock, Day, UtcMicros, Zone};
