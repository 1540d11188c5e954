//! What is known of one consumer when compensation is decided: plain values that other modules fill.
//!
//! Nothing here depends on the order in which it was learnt. Facts of a connection are those of the instant at which the
//! default began, so that a topology row recorded later changes the decision and not the evidence of other defaults.

use std::collections::BTreeMap;

pub use gridtally_schemas::billing::FinancialYear;
use gridtally_schemas::{
    ConsumerId, Day, IntervalMinutes, UtcMicros,
    network::{AreaClass, Supply},
};
use serde::Serialize;

use super::{Paise, ledger::DefaultKey};

words!(
    /// Class of an outage (DOMAIN section 6: the vocabulary of OutageNotification 0.1).
    OutageClass {
        /// A fault.
        Breakdown = "BREAKDOWN",
        /// Work on the network.
        Planned = "PLANNED",
        /// Load shedding by a published roster.
        ScheduledRostering = "SCHEDULED_ROSTERING",
        /// Load shedding beyond the roster.
        EmergencyRostering = "EMERGENCY_ROSTERING",
    }
);
words!(
    /// Whether consumers were told beforehand.
    Notice {
        /// They were.
        Given = "given",
        /// They were not.
        NotGiven = "not_given",
    }
);
words!(
    /// How much of the network an outage covers.
    Scope {
        /// One consumer's service line.
        ServiceLine = "service_line",
        /// A distribution transformer.
        Dt = "dt",
        /// An 11 kV feeder.
        Feeder = "feeder",
        /// A substation, or more.
        Substation = "substation",
    }
);
words!(
    /// Why nothing may be owed for a loss of supply.
    Exemption {
        /// Storm, flood, war and the like, as the crew or the Commission found.
        ForceMajeure = "force_majeure",
        /// Planned work that consumers were told of.
        PlannedWithNotice = "planned_with_notice",
        /// A prepaid meter without credit (Rules 2020, 9(3)).
        PrepaidCutOff = "prepaid_cut_off",
        /// Disconnected for not paying.
        NonPayment = "non_payment",
        /// The fault is the consumer's own.
        ConsumerFault = "consumer_fault",
        /// Outside the hours of supply of the category (Rules 2020, 10(1)).
        OutsideSupplyHours = "outside_supply_hours",
    }
);

/// A stretch of time, its end excluded; empty when it ends before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// Begin.
    pub from: UtcMicros,
    /// End, excluded.
    pub to: UtcMicros,
}

/// A consumer's connection when the default began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Connection {
    /// Supply voltage.
    pub supply: Supply,
    /// Area class of the node it hangs on; `None`: master data does not say.
    pub area_class: Option<AreaClass>,
}

/// One interruption of this consumer, by its meter's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Interruption {
    /// Power failure.
    pub started_at: UtcMicros,
    /// Restoration; `None`: it lasts.
    pub ended_at: Option<UtcMicros>,
}

/// One consumer's part in one outage: an event in the sense of the regulation.
///
/// Its interruptions are the steps in which it was restored; their minutes are summed (IEEE 1366 step restoration), so that a
/// moment of supply does not start the clock anew. Overlapping or repeated interruptions count once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SupplyLoss {
    /// The outage.
    pub outage_id: String,
    /// Its class.
    pub class: OutageClass,
    /// Whether it was announced.
    pub notice: Notice,
    /// Its scope.
    pub scope: Scope,
    /// Fault type by the crew's word; `None`: not recorded, the scope decides.
    pub fault_type: Option<String>,
    /// Consumers that it interrupted, this one included.
    pub consumers_affected: u32,
    /// Exemptions that hold for all of it; [`Exemption::PlannedWithNotice`] follows from class and notice and need not be here.
    pub exemptions: Vec<Exemption>,
    /// Stretches outside this consumer's hours of supply.
    pub outside_supply_hours: Vec<Span>,
    /// The connection when it began.
    pub connection: Connection,
    /// The interruptions, without those that are none by OUT-1; at least one, else the loss is as if it were not there.
    pub interruptions: Vec<Interruption>,
}

/// A request whose handling has a time limit (`service_requests`; Rules 2020, 13(4)(iii) to (ix), 4(12), 11(12)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// The request.
    pub request_id: String,
    /// What was asked for: a word of [`super::regulation::REQUEST_KINDS`].
    pub kind: String,
    /// When it was made.
    pub opened_at: UtcMicros,
    /// When it was met; `None`: still open.
    pub closed_at: Option<UtcMicros>,
    /// The connection, or the one asked for.
    pub connection: Connection,
    /// Exemptions that hold for it.
    pub exemptions: Vec<Exemption>,
}

/// Mean voltage of one interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VoltageReading {
    /// End of the interval.
    pub interval_end: UtcMicros,
    /// Its length.
    pub interval: IntervalMinutes,
    /// Mean voltage, V.
    pub volts: f64,
}

/// The voltages of one civil day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoltageDay {
    /// The day.
    pub day: Day,
    /// The connection on that day.
    pub connection: Connection,
    /// Its intervals with a voltage. Those that an interruption touches may be here: they do not count, for no supply is not
    /// bad voltage.
    pub readings: Vec<VoltageReading>,
}

/// A consumer's claim for one default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// The claim.
    pub claim_id: String,
    /// What it is about.
    pub default: DefaultKey,
    /// When it was filed.
    pub filed_at: UtcMicros,
    /// When forum or ombudsman upheld it; `None`: not, or not yet.
    pub upheld_at: Option<UtcMicros>,
}

/// Everything known of one consumer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// The consumer.
    pub consumer_id: ConsumerId,
    /// Losses of supply, in any order.
    pub losses: Vec<SupplyLoss>,
    /// Requests, in any order.
    pub requests: Vec<Request>,
    /// Voltages by day, in any order.
    pub voltages: Vec<VoltageDay>,
    /// Claims, in any order; of several for one default the first filed counts, upheld if any was.
    pub claims: Vec<Claim>,
    /// Fixed charges of each financial year: what is billed, and for months not billed yet the latest month's charge. With
    /// the billed months alone a cap would begin low and rise with every bill.
    pub fixed_charges: BTreeMap<FinancialYear, Paise>,
}

impl Evidence {
    /// Nothing known yet.
    #[must_use]
    pub const fn none(consumer_id: ConsumerId) -> Self {
        Self {
            consumer_id,
            losses: Vec::new(),
            requests: Vec::new(),
            voltages: Vec::new(),
            claims: Vec::new(),
            fixed_charges: BTreeMap::new(),
        }
    }
}
