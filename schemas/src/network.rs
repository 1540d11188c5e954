//! The network as master data: nodes, meters and connections, each row effective-dated.
//!
//! A row is keyed by its id and `valid_from`. Of two rows with one key the later recorded wins, then the larger content, so
//! the picture does not depend on the order in which rows were learnt. Of two rows of one id that both cover an instant the
//! one that began later holds.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{ConsumerId, IntervalMinutes, MeterId, Multiplier, NodeId, UtcMicros};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands for it in files, tables and the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    other => Err(format!("`{other}` is none of: {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}

pub(crate) use words;

words!(
    /// Kind of node, from the top of the hierarchy down (DOMAIN section 1).
    NodeKind {
        /// The whole company.
        Discom = "discom",
        /// Zone.
        Zone = "zone",
        /// Circle.
        Circle = "circle",
        /// Division.
        Division = "division",
        /// Subdivision.
        Subdivision = "subdivision",
        /// Section.
        Section = "section",
        /// Substation; optional level.
        Substation = "substation",
        /// 11 kV feeder.
        Feeder = "feeder",
        /// Distribution transformer, 11 kV to 415/240 V.
        Dt = "dt",
    }
);
words!(
    /// Area class; decides compensation limits.
    AreaClass {
        /// Metro city.
        Metro = "metro",
        /// Urban.
        Urban = "urban",
        /// Rural.
        Rural = "rural",
        /// Class-1 city (Uttar Pradesh).
        Class1 = "class1",
    }
);
words!(
    /// What a meter measures.
    MeterRole {
        /// A consumer's consumption (and export, where a prosumer).
        Consumer = "consumer",
        /// What a DT takes from the feeder.
        Dt = "dt",
        /// What a feeder takes at the substation.
        Feeder = "feeder",
        /// What passes between two feeders.
        Boundary = "boundary",
        /// A gross-metered generator; its energy is `export_wh`.
        Generation = "generation",
    }
);
words!(
    /// Supply voltage of a connection.
    Supply {
        /// Low tension: hangs on a DT.
        Lt = "LT",
        /// High tension: hangs on a feeder.
        Ht = "HT",
    }
);
words!(
    /// How a connection is metered and paid.
    Metering {
        /// Smart meter, prepaid.
        Prepaid = "prepaid",
        /// Meter, billed afterwards.
        Postpaid = "postpaid",
        /// No meter: consumption is assessed.
        Unmetered = "unmetered",
    }
);
words!(
    /// Scheme by which a consumer's own generation is accounted.
    Prosumer {
        /// No generation.
        None = "none",
        /// Energy netted in billing.
        NetMetering = "net_metering",
        /// Import and export priced apart.
        NetBilling = "net_billing",
        /// All generation sold, all consumption bought.
        GrossMetering = "gross_metering",
    }
);

/// A row of the `nodes` file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRow {
    /// The node.
    pub node_id: NodeId,
    /// Its kind; the same in every row of a node.
    pub kind: NodeKind,
    /// The node above; `None` only for a discom.
    pub parent_id: Option<NodeId>,
    /// Name for people.
    pub name: String,
    /// Area class; `None`: not said.
    pub area_class: Option<AreaClass>,
    /// Latitude, degrees.
    pub lat: Option<f64>,
    /// Longitude, degrees.
    pub lon: Option<f64>,
    /// Rated capacity, kVA.
    pub capacity_kva: Option<f64>,
    /// Loss target, per cent of input.
    pub allowable_loss_pct: Option<f64>,
    /// Computed technical loss, per cent of input.
    pub technical_loss_pct: Option<f64>,
    /// Holds from this instant.
    pub valid_from: UtcMicros,
    /// Holds until before this instant; `None`: open.
    pub valid_to: Option<UtcMicros>,
}

/// A row of the `meters` file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeterRow {
    /// The meter.
    pub meter_id: MeterId,
    /// What it measures.
    pub role: MeterRole,
    /// Node it belongs to: the DT or feeder measured, or a boundary's own feeder. Consumer and generation meters may leave
    /// it out: their connection says where they hang.
    pub node_id: Option<NodeId>,
    /// Boundary meters: the feeder on the other side.
    pub boundary_to: Option<NodeId>,
    /// Length of its load-profile interval.
    pub interval_minutes: IntervalMinutes,
    /// Multiplying factor (CT ratio x PT ratio).
    pub multiplier: Multiplier,
    /// Holds from this instant.
    pub valid_from: UtcMicros,
    /// Holds until before this instant; `None`: open.
    pub valid_to: Option<UtcMicros>,
}

/// A row of the `connections` file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectionRow {
    /// The consumer.
    pub consumer_id: ConsumerId,
    /// Its meter; `None`: unmetered.
    pub meter_id: Option<MeterId>,
    /// Where it hangs: a DT, or a feeder for HT.
    pub node_id: NodeId,
    /// Tariff category, such as `LT-domestic`.
    pub category: String,
    /// Supply voltage.
    pub supply: Supply,
    /// Phases, 1 or 3.
    pub phases: u8,
    /// Sanctioned load, kW.
    pub sanctioned_load_kw: Option<f64>,
    /// How it is metered.
    pub metering: Metering,
    /// Scheme of its own generation.
    pub prosumer: Prosumer,
    /// Unmetered: assessed consumption a month, kWh with at most three decimals.
    pub assessed_kwh_month: Option<f64>,
    /// Holds from this instant.
    pub valid_from: UtcMicros,
    /// Holds until before this instant; `None`: open.
    pub valid_to: Option<UtcMicros>,
}

/// A batch of master data of one kind: what one import of one file carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "rows", rename_all = "snake_case")]
pub enum MasterRows {
    /// Rows of the `nodes` file.
    Nodes(Vec<NodeRow>),
    /// Rows of the `meters` file.
    Meters(Vec<MeterRow>),
    /// Rows of the `connections` file.
    Connections(Vec<ConnectionRow>),
}

impl MasterRows {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Nodes(rows) => rows.len(),
            Self::Meters(rows) => rows.len(),
            Self::Connections(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
