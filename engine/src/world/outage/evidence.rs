//! What the reads of a meter say of supply, kept as runs of their own: made of the state once, then changed as reads are noted.

use gridtally_schemas::MeterId;

use super::{Feeder, Outages};
use crate::{
    network::{MeterIx, Network, NodeIx},
    outage::{Evidence, MeterEvidence, Rules, Sign},
    state::{BlockNumber, Quarter, State, Value},
};

/// Whether a value says that there was no supply in the whole block.
pub(super) fn is_dead(rules: &Rules, value: &Value) -> bool {
    sign_of(rules, value) == Some(Sign::Dead)
}

fn sign_of(rules: &Rules, value: &Value) -> Option<Sign> {
    Sign::of(
        Some(i64::from(value.import_wh)),
        value.export_wh.map(i64::from),
        value.voltage_v,
        rules.dead_below_v,
    )
}

/// Quarters of a block whose chunks are looked at together.
const QUARTERS_TOGETHER: usize = 192;

/// The evidence as the evaluation asks for it.
pub(super) struct Kept<'a> {
    pub(super) network: &'a Network,
    pub(super) outages: &'a Outages,
}

impl Evidence for Kept<'_> {
    fn of(&self, meter: &MeterId) -> Option<&MeterEvidence> {
        let meter = self.network.find_meter(meter.as_str())?;
        self.outages.evidence.get(&meter)
    }
}

/// What evidence is made of.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) network: &'a Network,
    pub(super) state: &'a State,
    pub(super) rules: &'a Rules,
}

impl Sources<'_> {
    /// Puts what the value of one interval proves into the evidence of its meter. True when that changed anything.
    fn put(
        self,
        evidence: &mut MeterEvidence,
        (meter, quarter): (MeterIx, Quarter),
        value: impl FnOnce() -> Option<Value>,
    ) -> bool {
        // By the meter's own intervals: a value off their grid, or of a meter out of service, proves nothing.
        let Some(minutes) = self.network.interval_of(meter, quarter.begin()) else {
            return false;
        };
        if quarter.ceil_to(minutes.quarters()) != quarter {
            return false;
        }
        let sign = value().and_then(|value| sign_of(self.rules, &value));
        evidence.set(quarter.end(), minutes, sign)
    }
}

impl Outages {
    /// Takes the noted reads into the evidence; the feeders of meters whose evidence changed become dirty.
    pub(super) fn take_noted(&mut self, sources: Sources<'_>) {
        let mut noted = std::mem::take(&mut self.noted);
        noted.sort_unstable();
        noted.dedup();
        let mut feeders: Vec<NodeIx> = Vec::new();
        for of_meter in noted.chunk_by(|one, other| one.0 == other.0) {
            let Some((meter, _)) = of_meter.first() else {
                continue;
            };
            let evidence = self.evidence.entry(*meter).or_default();
            // A meter that never spoke may have been taken for one that can be heard.
            let was_silent = evidence.is_empty();
            let mut changed: Option<Quarter> = None;
            for (_, quarter) in of_meter {
                let value = || sources.state.own_value(*meter, *quarter);
                if sources.put(evidence, (*meter, *quarter), value) {
                    changed = changed.or(Some(*quarter));
                }
            }
            let Some(first) = changed else { continue };
            feeders.clear();
            sources.network.feeders_of_meter(*meter, &mut feeders);
            let watched = |feeder: &Feeder| was_silent || first <= feeder.watch_through;
            let dirty = feeders
                .iter()
                .filter(|feeder| self.feeders.get(*feeder).is_some_and(watched));
            self.dirty.extend(dirty);
        }
    }

    /// Brings the evidence of these meters up to the state. What they are watched up to is in it already.
    pub(super) fn feed(&mut self, sources: Sources<'_>, meters: &[MeterIx]) {
        let mut by_block: Vec<(BlockNumber, MeterIx)> = meters
            .iter()
            .filter_map(|meter| Some((sources.state.block_of(*meter)?, *meter)))
            .filter(|(_, meter)| self.watched_through(*meter) < super::ALWAYS)
            .collect();
        by_block.sort_unstable();
        for of_block in by_block.chunk_by(|one, other| one.0 == other.0) {
            let Some((block, _)) = of_block.first() else {
                continue;
            };
            let mut quarters: Vec<Quarter> = sources.state.quarters(*block).collect();
            quarters.sort_unstable();
            let after = of_block.iter().map(|(_, meter)| self.watched_through(*meter));
            let after = after.min().unwrap_or_default();
            quarters.retain(|quarter| *quarter > after);
            // The chunks of the block may wait on disk: each is read once for all its meters.
            for together in quarters.chunks(QUARTERS_TOGETHER) {
                let (Some(first), Some(last)) = (together.first(), together.last()) else {
                    continue;
                };
                let window = sources.state.window(*block, *first..=*last);
                for (_, meter) in of_block {
                    let Some((_, slot)) = sources.state.slot_of(*meter) else {
                        continue;
                    };
                    let after = self.watched_through(*meter);
                    let evidence = self.evidence.entry(*meter).or_default();
                    for quarter in together.iter().filter(|quarter| **quarter > after) {
                        let position = usize::try_from(quarter.0 - first.0).unwrap_or(usize::MAX);
                        sources.put(evidence, (*meter, *quarter), || window.own(slot, position));
                    }
                }
            }
        }
    }

    pub(super) fn watched_through(&self, meter: MeterIx) -> Quarter {
        self.watched.get(meter.at()).copied().unwrap_or_default()
    }

    /// Watches these meters of `feeder` as far as it and the other feeders that they ever were on ask for; those that never said anything
    /// until they do.
    pub(super) fn watch(&mut self, network: &Network, feeder: NodeIx, meters: &[MeterIx]) {
        let own = self
            .feeders
            .get(&feeder)
            .map_or(Quarter(0), |feeder| feeder.watch_through);
        let mut feeders: Vec<NodeIx> = Vec::new();
        for meter in meters {
            let is_silent = self.evidence.get(meter).is_none_or(MeterEvidence::is_empty);
            let mut through = if is_silent { super::ALWAYS } else { own };
            if through < self.watched_through(*meter) {
                feeders.clear();
                network.feeders_of_meter(*meter, &mut feeders);
                let others = feeders.iter().filter_map(|feeder| self.feeders.get(feeder));
                through = others.fold(own, |most, other| most.max(other.watch_through));
            }
            if self.watched.len() <= meter.at() {
                self.watched.resize(meter.at() + 1, Quarter(0));
            }
            if let Some(watched) = self.watched.get_mut(meter.at()) {
                *watched = through;
            }
        }
    }

    /// Forgets what the reads of these meters said: the lengths of their intervals may have changed, so it is made anew of the state.
    pub(super) fn forget_reads(&mut self, meters: &[MeterIx]) {
        for meter in meters {
            if let Some(evidence) = self.evidence.get_mut(meter) {
                evidence.forget_reads();
            }
            if let Some(watched) = self.watched.get_mut(meter.at()) {
                *watched = Quarter(0);
            }
        }
    }
}
