//! What is wider than a feeder: the results of feeders under one node put together.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_schemas::NodeId;

use super::{
    Evaluation, Rules,
    group::{Outage, OutageId, Scope, Status, Step},
    interruption::Interruption,
    picture::Class,
};

/// The result of one feeder.
#[derive(Debug, Clone, Copy)]
pub struct FeederResult<'a> {
    /// The feeder.
    pub feeder: &'a NodeId,
    /// What its evidence comes to.
    pub evaluation: &'a Evaluation,
}

/// Interruptions and outages of feeders put together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joined {
    /// By begin and consumer.
    pub interruptions: Vec<Interruption>,
    /// By id.
    pub outages: BTreeMap<OutageId, Outage>,
}

/// Puts the results of feeders under `node` together, of which it has `feeders`: what most of them lost together is one outage, and so
/// is a planned outage that reaches over several. The order of `results` does not matter.
#[must_use]
pub fn join(rules: &Rules, (node, feeders): (&NodeId, usize), results: &[FeederResult<'_>]) -> Joined {
    let mut joined = Joined::default();
    let mut of_feeders: Vec<(&NodeId, &Outage)> = Vec::new();
    for result in results {
        joined
            .interruptions
            .extend(result.evaluation.interruptions.iter().cloned());
        for outage in result.evaluation.outages.values() {
            if outage.scope == Scope::Feeder && outage.class == Class::Breakdown {
                of_feeders.push((result.feeder, outage));
            }
            match joined.outages.get_mut(&outage.id) {
                Some(held) => absorb(rules, held, outage),
                None => {
                    joined.outages.insert(outage.id.clone(), outage.clone());
                }
            }
        }
    }
    let mut renamed: BTreeMap<OutageId, OutageId> = BTreeMap::new();
    for together in failed_together(rules, feeders, of_feeders) {
        let Some(first) = together.first() else {
            continue;
        };
        let Some(mut wide) = joined.outages.remove(first) else {
            continue;
        };
        wide.scope = Scope::Substation;
        wide.node = node.clone();
        for id in together.iter().skip(1) {
            if let Some(outage) = joined.outages.remove(id) {
                absorb(rules, &mut wide, &outage);
                renamed.insert(id.clone(), first.clone());
            }
        }
        joined.outages.insert(wide.id.clone(), wide);
    }
    for interruption in &mut joined.interruptions {
        if let Some(id) = renamed.get(&interruption.outage) {
            interruption.outage = id.clone();
        }
    }
    joined
        .interruptions
        .sort_by(|a, b| (a.started_at, &a.consumer).cmp(&(b.started_at, &b.consumer)));
    joined
}

/// Outages of feeders that failed together, where they are most of the node's feeders; in each the one that began first leads.
fn failed_together(
    rules: &Rules,
    feeders: usize,
    mut of_feeders: Vec<(&NodeId, &Outage)>,
) -> Vec<Vec<OutageId>> {
    let need = (feeders * usize::from(rules.share_pct) / 100 + 1).max(2);
    of_feeders.sort_by_key(|(feeder, outage)| (outage.evidence.failed.at, *feeder));
    let mut found = Vec::new();
    let mut rest = of_feeders.as_slice();
    while let Some((_, first)) = rest.first() {
        let until = first.evidence.failed.at.plus(rules.together_micros);
        let (together, later) =
            rest.split_at(rest.partition_point(|(_, outage)| outage.evidence.failed.at <= until));
        let distinct: BTreeSet<&NodeId> = together.iter().map(|(feeder, _)| *feeder).collect();
        if distinct.len() < need {
            rest = rest.split_first().map_or(&[], |(_, rest)| rest);
            continue;
        }
        let mut together: Vec<&Outage> = together.iter().map(|(_, outage)| *outage).collect();
        together.sort_by_key(|outage| (outage.started_at, &outage.id));
        found.push(together.into_iter().map(|outage| outage.id.clone()).collect());
        rest = later;
    }
    found
}

/// What one planned outage comes to that reaches over several nodes' feeders, in the order of those; `None` of nothing.
#[must_use]
pub fn combine<'a>(rules: &Rules, parts: impl IntoIterator<Item = &'a Outage>) -> Option<Outage> {
    let mut parts = parts.into_iter();
    let mut whole = parts.next()?.clone();
    for part in parts {
        absorb(rules, &mut whole, part);
    }
    Some(whole)
}

/// Adds what another feeder knows of the same outage.
fn absorb(rules: &Rules, outage: &mut Outage, other: &Outage) {
    if other.consumers_affected == 0 {
        return;
    }
    if outage.consumers_affected == 0 {
        let (id, node, scope) = (outage.id.clone(), outage.node.clone(), outage.scope);
        *outage = Outage {
            id,
            node,
            scope,
            ..other.clone()
        };
        return;
    }
    outage.started_at = outage.started_at.min(other.started_at);
    outage.ended_at = outage.ended_at.zip(other.ended_at).map(|(a, b)| a.max(b));
    outage.consumers_affected += other.consumers_affected;
    outage.consumers_restored += other.consumers_restored;
    outage.status = match (outage.ended_at, outage.consumers_restored) {
        (Some(_), _) => Status::Restored,
        (None, 0) => Status::Active,
        (None, _) => Status::PartiallyRestored,
    };
    let (evidence, others) = (&mut outage.evidence, &other.evidence);
    evidence.failed = evidence.failed.min(others.failed);
    evidence.restored = evidence.restored.zip(others.restored).map(|(a, b)| a.max(b));
    evidence.is_node_dead |= others.is_node_dead;
    for (source, count) in &others.known_from {
        *evidence.known_from.entry(*source).or_default() += count;
    }
    evidence.steps.extend(&others.steps);
    evidence
        .steps
        .sort_unstable_by_key(|step| (step.at, step.consumers));
    evidence.steps.dedup_by(|next, held| {
        let one = next.at <= held.at.plus(rules.together_micros);
        if one {
            *held = Step {
                at: next.at,
                consumers: held.consumers + next.consumers,
            };
        }
        one
    });
}
