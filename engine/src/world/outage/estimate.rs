//! When supply will be back, as it stands: [`Past`] kept up with what stands of outages, and estimates made anew where that or time
//! changes them.

use std::collections::BTreeSet;

use gridtally_schemas::UtcMicros;
use hashbrown::HashMap;

use super::{OutageChange, OutageView, World};
use crate::outage::{Class, Outage, OutageId, Past, Restoration, Rules, Status};

/// Why a version came that only an estimate makes.
const ESTIMATED: &str = "estimated anew when supply will be back";

/// A change on its way to who listens.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) change: OutageChange,
    /// Whether its area was looked at for the first time since the process started: it may have been told before that.
    pub(super) is_first: bool,
}

/// What is known of restorations.
#[derive(Debug, Default)]
pub(super) struct Estimates {
    past: Past,
    /// Outages that are on or announced, by begin.
    open: BTreeSet<(UtcMicros, OutageId)>,
    begun: HashMap<OutageId, UtcMicros>,
    standing: HashMap<OutageId, Restoration>,
    /// When an estimate will have passed.
    passes: BTreeSet<(UtcMicros, OutageId)>,
    stale: BTreeSet<OutageId>,
    /// What ended then or later is another past than it was.
    past_changed_since: Option<UtcMicros>,
}

impl Estimates {
    pub(super) fn of(&self, id: &OutageId) -> Option<Restoration> {
        self.standing.get(id).copied()
    }

    /// Files what stands of an outage; `None`: it is none any more.
    pub(super) fn file(&mut self, rules: &Rules, id: &OutageId, view: Option<&OutageView>) {
        if let Some(begun) = self.begun.remove(id) {
            self.open.remove(&(begun, id.clone()));
        }
        let changed = match view {
            Some(view) => self.past.put(rules, &view.outage, &view.known),
            None => self.past.take(id),
        };
        let since = self.past_changed_since.into_iter().chain(changed);
        self.past_changed_since = since.min();
        if let Some(view) = view.filter(|view| is_open(view.outage.status)) {
            let begun = view.outage.started_at;
            self.open.insert((begun, id.clone()));
            self.begun.insert(id.clone(), begun);
        }
        self.stale.insert(id.clone());
    }

    /// Notes that an announcement may be another.
    pub(super) fn note(&mut self, id: &OutageId) {
        self.stale.insert(id.clone());
    }

    /// Whose restoration is to be looked at.
    fn take_stale(&mut self, now: UtcMicros) -> BTreeSet<OutageId> {
        while let Some((at, id)) = self.passes.first().cloned().filter(|(at, _)| *at <= now) {
            self.passes.remove(&(at, id.clone()));
            self.stale.insert(id);
        }
        if let Some(since) = self.past_changed_since.take() {
            let began_after = self.open.range((since, OutageId::from(String::new()))..);
            self.stale.extend(began_after.map(|(_, id)| id.clone()));
        }
        std::mem::take(&mut self.stale)
    }

    /// Says what stands from now on; true when that is another.
    fn set(&mut self, id: &OutageId, restoration: Option<Restoration>) -> bool {
        let before = match restoration {
            Some(restoration) => self.standing.insert(id.clone(), restoration),
            None => self.standing.remove(id),
        };
        if let Some(before) = before {
            self.passes.remove(&(before.at, id.clone()));
        }
        if let Some(restoration) = restoration.filter(|restoration| restoration.basis.is_estimate()) {
            self.passes.insert((restoration.at, id.clone()));
        }
        before != restoration
    }
}

const fn is_open(status: Status) -> bool {
    match status {
        Status::Scheduled | Status::Active | Status::PartiallyRestored => true,
        Status::Restored | Status::Cancelled => false,
    }
}

impl World {
    /// Brings restorations up to what stands of outages, and what was to be told with them.
    pub(super) fn estimate_restorations(&mut self, now: UtcMicros, told: &mut Vec<Told>) {
        let stale = self.outage.estimates.take_stale(now);
        let mut changed: BTreeSet<OutageId> = BTreeSet::new();
        for id in stale {
            let restoration = self.outage_view(&id).and_then(|view| {
                let announced_end = self.outage.plan.row_of(&view.outage).map(|row| row.end);
                let (rules, past) = (&self.settings.outage_rules, &self.outage.estimates.past);
                past.restoration(rules, (&view.outage, &view.known), announced_end, now)
            });
            if self.outage.estimates.set(&id, restoration) {
                changed.insert(id);
            }
        }
        for told in told.iter_mut() {
            let id = &told.change.view.outage.id;
            if changed.remove(id)
                && let Some(view) = self.outage_view(id)
            {
                told.change.view = view;
            }
        }
        for id in changed {
            let Some(view) = self.outage_view(&id) else {
                continue;
            };
            let reason = ESTIMATED.to_owned();
            self.outage.ledger.mark_outage(id, reason.clone());
            told.push(Told {
                change: OutageChange { view, reason },
                is_first: false,
            });
        }
    }

    /// Marks the announced outages of an area: what was announced may be another.
    pub(super) fn note_announced<'a>(&mut self, outages: impl Iterator<Item = &'a Outage>) {
        let announced = outages.filter(|outage| outage.class != Class::Breakdown && is_open(outage.status));
        for outage in announced {
            self.outage.estimates.note(&outage.id);
        }
    }
}
