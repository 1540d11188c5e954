//! Outages in the picture: what is known of supply, feeder by feeder, and what it comes to ([`crate::outage`]).
//!
//! ```text
//! event · dead block · planned outage ─▶ dirty feeder ─▶ evidence, picture ─▶ evaluate ─┐ by feeder
//! read of a watched meter ─▶ evidence ─┘ (when it changed)                              ▼
//! crew's word ──────────────────────────────────────────▶ area: join, what the crew says, what changed ─▶ rows, stream
//! ```
//!
//! What stands is a function of what was said and of the time alone; which of it is published is the difference between that and the
//! tables, as with balances.
//!
//! # What reads cost
//!
//! Nothing is kept of the reads of a meter until something happened on one of its feeders: an event that bears on supply, a block
//! without voltage, a planned outage. Then the evidence of all meters of that feeder is made of the state, once, and from there on kept as
//! runs of its own. A meter is *watched* up to a quarter: reads up to there are noted and change its evidence; later ones are not, and
//! are read from the state when the feeder is next looked at. While anything is open every read is noted; once all is over, those up
//! to two days and a half after. So a read of a feeder on which nothing is going on costs one comparison.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_schemas::{ConsumerId, PowerEvent, Publish, UtcMicros, outage::Cause};
use hashbrown::{HashMap, HashSet};

use super::World;
use crate::{
    network::{MeterIx, NodeIx},
    outage::{
        Evaluation, EventMap, FeederPicture, Interruption, Joined, Known, MeterEvidence, Outage, OutageId,
        Restoration, Rules,
    },
    state::{Quarter, Value},
};

mod area;
mod consumers;
mod estimate;
mod evaluate;
mod evidence;
pub mod look;
mod outbox;
pub(super) mod picture;
mod plan;
mod restore;
mod rows;
mod say;
mod supply;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use outbox::OutageRows;
pub(crate) use restore::outage_versions;
pub(crate) use rows::DueOutages;
pub use rows::{FormerOutage, OutageValues, OutageVersion};

use estimate::Estimates;
use plan::Plan;
use rows::Ledger;

/// Every quarter there is.
const ALWAYS: Quarter = Quarter(u32::MAX);

/// An outage with what people said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutageView {
    /// What the evidence comes to.
    pub outage: Outage,
    /// What the crew said.
    pub known: Known,
    /// When supply will be back, by the crew, the announcement or an estimate; `None`: nobody can say, or it is back.
    pub restoration: Option<Restoration>,
}

/// A change of an outage, for who listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutageChange {
    /// What stands from now on.
    pub view: OutageView,
    /// Why.
    pub reason: String,
}

/// A feeder on which something happened.
#[derive(Debug, Default)]
struct Feeder {
    /// What its evidence came to when it was last looked at.
    evaluation: Option<Evaluation>,
    /// The node under whose feeders it is joined.
    area: Option<NodeIx>,
    /// Reads of its meters up to here may change that.
    watch_through: Quarter,
    /// Its picture, with its meters; `None`: master data or plans changed.
    pictured: Option<Pictured>,
    /// When time alone may change it.
    next_look: Option<UtcMicros>,
}

/// A feeder's picture as it was made.
#[derive(Debug)]
struct Pictured {
    picture: FeederPicture,
    /// Every meter in it, sorted.
    meters: Vec<MeterIx>,
    /// The time for which its hours of supply are spelled out.
    hours: crate::outage::Span,
}

/// What stands for the feeders under one node.
#[derive(Debug, Default)]
struct Area {
    feeders: BTreeSet<NodeIx>,
    joined: Joined,
    known: BTreeMap<OutageId, Known>,
    /// Consumers without supply now who should have it.
    consumers_out: usize,
    /// Whether it was looked at since the process started.
    is_seen: bool,
}

/// The part of the picture that outages keep.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    /// By meter: reads up to here are noted.
    watched: Vec<Quarter>,
    /// Reads of watched meters that were accepted since.
    noted: Vec<(MeterIx, Quarter)>,
    /// Meters that ever said an event that bears on supply, or sent a block without voltage.
    speaking: HashSet<MeterIx>,
    /// Of these, those that said something since.
    spoke: BTreeSet<MeterIx>,
    /// Whether one of them said an event.
    has_news: bool,
    evidence: HashMap<MeterIx, MeterEvidence>,
    feeders: HashMap<NodeIx, Feeder>,
    areas: HashMap<NodeIx, Area>,
    dirty: BTreeSet<NodeIx>,
    dirty_areas: BTreeSet<NodeIx>,
    /// Feeders whose master data changed.
    touched: BTreeSet<NodeIx>,
    /// When which feeder is to be looked at again.
    due: BTreeSet<(UtcMicros, NodeIx)>,
    plan: Plan,
    /// What people said, with when it was recorded.
    causes: BTreeSet<(UtcMicros, Cause)>,
    /// In which areas an outage stands: a planned one may reach over several.
    places: HashMap<OutageId, BTreeSet<NodeIx>>,
    /// In which area an interruption stands.
    interruptions: HashMap<ConsumerId, BTreeMap<UtcMicros, NodeIx>>,
    /// Outages that are on.
    open: BTreeSet<OutageId>,
    estimates: Estimates,
    ledger: Ledger,
}

impl Outages {
    /// Notes a read that was accepted: called for every one, so it is cheap for meters that nobody watches.
    pub(super) fn note(&mut self, rules: &Rules, meter: MeterIx, quarter: Quarter, value: &Value) {
        if self
            .watched
            .get(meter.at())
            .is_some_and(|through| quarter <= *through)
        {
            self.noted.push((meter, quarter));
        }
        self.note_restored(rules, meter, value);
    }

    /// Notes a read that comes from the tables, from which no evidence is made before somebody asks for it.
    pub(super) fn note_restored(&mut self, rules: &Rules, meter: MeterIx, value: &Value) {
        let is_dead = value.import_wh == 0
            && value
                .voltage_v
                .is_some_and(|voltage| voltage < rules.dead_below_v)
            && evidence::is_dead(rules, value);
        if is_dead {
            self.speaking.insert(meter);
            self.spoke.insert(meter);
        }
    }

    /// Notes an event; one that says nothing about supply changes nothing.
    pub(super) fn hear(&mut self, map: &EventMap, meter: MeterIx, event: &PowerEvent) {
        let Some(signal) = map.signal(event.code) else {
            return;
        };
        if self.evidence.entry(meter).or_default().add(event.at, signal) {
            self.speaking.insert(meter);
            self.spoke.insert(meter);
            self.has_news = true;
        }
    }

    /// Notes a change of master data that touches a feeder.
    pub(super) fn note_feeder(&mut self, feeder: NodeIx) {
        self.touched.insert(feeder);
    }

    /// The area's interruption of a consumer that began to count at `started_at`.
    fn interruption(&self, consumer: &str, started_at: UtcMicros) -> Option<&Interruption> {
        let area = self.interruptions.get(consumer)?.get(&started_at)?;
        let interruptions = &self.areas.get(area)?.joined.interruptions;
        let at = interruptions
            .binary_search_by(|held| (held.started_at, held.consumer.as_str()).cmp(&(started_at, consumer)))
            .ok()?;
        interruptions.get(at)
    }
}

impl World {
    /// Hears the events of a publish before its turn in the log: what they prove of supply is a set, so it is the same when they come
    /// again with their record, which counts them and makes their rows. A meter that is not known yet has to wait for that.
    pub(crate) fn hear_ahead(&mut self, received_at: UtcMicros, publish: &Publish) {
        for span in publish.meters().filter(|span| !span.events.is_empty()) {
            let meter = self.network.find_meter(span.meter_id);
            let Some(meter) = meter.filter(|meter| self.is_known(*meter)) else {
                continue;
            };
            let latest = received_at.plus(self.settings.future_micros);
            for event in span.events.iter().filter(|event| event.at <= latest) {
                self.outage.hear(&self.settings.event_map, meter, event);
            }
        }
    }

    /// Whether an event that bears on supply was heard since somebody last looked for outages.
    pub(crate) fn has_outage_news(&self) -> bool {
        self.outage.has_news
    }

    /// Feeders on which something happened, and meters that are watched or spoke: for metrics and tests of cost.
    #[must_use]
    pub fn outage_load(&self) -> (usize, usize) {
        (self.outage.feeders.len(), self.outage.evidence.len())
    }
}
