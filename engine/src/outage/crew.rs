//! What only people know of an outage: cause, fault type, force majeure, and when supply will be back.

use std::{cmp::Reverse, collections::BTreeMap};

use gridtally_schemas::{NodeId, UtcMicros};

use super::{
    Rules,
    group::{Outage, OutageId},
    span::FOREVER,
};

/// One word of the crew (or the OMS). It is kept with the place and time of the outage that it was said of, so that it stays with
/// what happened when ids change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrewWord {
    /// When it was recorded. Of two words on one thing the later recorded stands, then the larger.
    pub recorded_at: UtcMicros,
    /// Node of the outage as it stood then.
    pub node: NodeId,
    /// Begin of the outage as it stood then.
    pub started_at: UtcMicros,
    /// Cause; `None`: nothing said.
    pub cause: Option<String>,
    /// Fault type of the regulation; `None`: nothing said.
    pub fault_type: Option<String>,
    /// Whether it is exempt as force majeure; `None`: nothing said.
    pub force_majeure: Option<bool>,
    /// When supply will be back; `None`: nothing said.
    pub etr: Option<UtcMicros>,
}

/// What the crew's words come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Cause; `None`: not recorded.
    pub cause: Option<String>,
    /// Fault type; `None`: not recorded, the scope decides.
    pub fault_type: Option<String>,
    /// Whether it is exempt as force majeure.
    pub force_majeure: bool,
    /// When supply will be back; `None`: not said.
    pub etr: Option<UtcMicros>,
}

/// What is known of each outage by the crew's words. Each word goes to one outage: of those that were on at its time, at its node,
/// above or below it, the one at the same node, then with the nearest begin, then the widest.
///
/// `is_below` says whether the first node hangs under the second.
#[must_use]
pub fn what_the_crew_says(
    rules: &Rules,
    outages: &BTreeMap<OutageId, Outage>,
    words: &[CrewWord],
    is_below: impl Fn(&NodeId, &NodeId) -> bool,
) -> BTreeMap<OutageId, Known> {
    let mut words: Vec<&CrewWord> = words.iter().collect();
    words.sort_unstable();
    let mut by_begin: Vec<&Outage> = outages.values().collect();
    by_begin.sort_by_key(|outage| (outage.started_at, &outage.id));
    let mut known: BTreeMap<OutageId, Known> = BTreeMap::new();
    for word in words {
        let after = by_begin
            .partition_point(|outage| outage.started_at <= word.started_at.plus(rules.together_micros));
        let on = by_begin.get(..after).unwrap_or_default().iter().filter(|outage| {
            let ended = outage.ended_at.unwrap_or(FOREVER);
            ended.plus(rules.together_micros) >= word.started_at
                && (outage.node == word.node
                    || is_below(&outage.node, &word.node)
                    || is_below(&word.node, &outage.node))
        });
        let nearest = on.min_by_key(|outage| {
            let apart = outage.started_at.0.abs_diff(word.started_at.0);
            (outage.node != word.node, apart, Reverse(outage.scope), &outage.id)
        });
        if let Some(outage) = nearest {
            known.entry(outage.id.clone()).or_default().hear(word);
        }
    }
    known
}

impl Known {
    fn hear(&mut self, word: &CrewWord) {
        if word.cause.is_some() {
            self.cause.clone_from(&word.cause);
        }
        if word.fault_type.is_some() {
            self.fault_type.clone_from(&word.fault_type);
        }
        self.force_majeure = word.force_majeure.unwrap_or(self.force_majeure);
        self.etr = word.etr.or(self.etr);
    }
}
