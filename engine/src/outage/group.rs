//! Outages of one feeder: interruptions put together by the node that failed, with id, class and status.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use gridtally_schemas::{NodeId, UtcMicros, Zone, time::QUARTER_MICROS};

use super::{
    Rules, Window,
    interruption::{Cover, Draft, Interruption},
    picture::{Class, FeederPicture, Planned, words},
    span::FOREVER,
    spell::{Moment, Source},
};

/// Name of an outage; see the module doc of [`crate::outage`](super) for what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct OutageId(String);

impl OutageId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for OutageId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for OutageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words!(
    /// How far an outage reaches.
    Scope {
        /// One consumer.
        ServiceLine = "service_line",
        /// Most consumers of a DT.
        Dt = "dt",
        /// Most DTs of a feeder.
        Feeder = "feeder",
        /// Most feeders of a substation or another node above.
        Substation = "substation",
    }
);

words!(
    /// Status of an outage (India Energy Stack OutageNotification 0.1).
    Status {
        /// Planned, and nobody is interrupted yet.
        Scheduled = "SCHEDULED",
        /// Everyone whom it interrupted is still out.
        Active = "ACTIVE",
        /// Some are back.
        PartiallyRestored = "PARTIALLY_RESTORED",
        /// All are back.
        Restored = "RESTORED",
        /// It turned out to be something else, or never took place.
        Cancelled = "CANCELLED",
    }
);

/// Consumers who came back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// When the last of them was back.
    pub at: UtcMicros,
    /// How many.
    pub consumers: usize,
}

/// An outage: a row of `outages`, without what only the crew knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// Its id.
    pub id: OutageId,
    /// The lowest node that it covers.
    pub node: NodeId,
    /// How far it reaches.
    pub scope: Scope,
    /// Its class.
    pub class: Class,
    /// Its status.
    pub status: Status,
    /// First interruption; planned and not begun: its planned begin.
    pub started_at: UtcMicros,
    /// Last restoration; `None`: not over.
    pub ended_at: Option<UtcMicros>,
    /// Consumers whom it interrupted and whom OUT-1 lets count, each once.
    pub consumers_affected: usize,
    /// Consumers who are back.
    pub consumers_restored: usize,
    /// What it rests on.
    pub evidence: OutageEvidence,
}

/// What an outage rests on: the column `evidence`, beside its interruptions.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct OutageEvidence {
    /// When the node failed. The return to the Commission counts by it.
    pub failed: Moment,
    /// When the node was back; `None`: not yet.
    pub restored: Option<Moment>,
    /// Whether the node itself was dead, and not only something below it.
    pub is_node_dead: bool,
    /// Interruptions by what their begin is known from.
    pub known_from: BTreeMap<Source, usize>,
    /// Restoration step by step.
    pub steps: Vec<Step>,
}

/// What belongs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Position in the picture's planned outages.
    Planned(usize),
    /// A dead time of the feeder.
    Feeder(usize),
    /// A dead time of a DT.
    Dt(usize, usize),
    /// One consumer, from when.
    Line { consumer: usize, failed_at: UtcMicros },
}

/// The planned outage that a failure at `at` of `dt` (or the feeder itself) is: the nearest node's, then the earliest.
pub(super) fn planned_at(
    rules: &Rules,
    picture: &FeederPicture,
    dt: Option<usize>,
    at: UtcMicros,
) -> Option<Part> {
    let dt = dt.and_then(|dt| picture.dts.get(dt)).map(|dt| &dt.node);
    let distance = |planned: &Planned| {
        if Some(&planned.node) == dt {
            return Some(0);
        }
        if planned.node == picture.feeder {
            return Some(1);
        }
        let above = picture.above.iter().position(|node| *node == planned.node)?;
        Some(above + 2)
    };
    picture
        .planned
        .iter()
        .enumerate()
        .filter(|(_, planned)| planned.span.from.plus(-rules.together_micros) <= at && at < planned.span.to)
        .filter_map(|(ix, planned)| Some((distance(planned)?, planned, ix)))
        .min()
        .map(|(_, _, ix)| Part::Planned(ix))
}

/// Puts drafts together into outages.
pub(super) struct Grouping<'a> {
    pub(super) rules: &'a Rules,
    pub(super) picture: &'a FeederPicture,
    pub(super) covers: &'a [Vec<Cover>],
    pub(super) window: Window,
}

/// When the node of an outage was dead.
#[derive(Debug, Clone, Copy)]
struct DeadTime {
    failed: Moment,
    restored: Option<Moment>,
    /// Whether it is the feeder that was.
    is_feeder: bool,
}

struct Group<'a> {
    part: Part,
    drafts: Vec<&'a Draft>,
    scope: Scope,
    node: NodeId,
    started_at: UtcMicros,
}

impl Grouping<'_> {
    /// The interruptions and outages of `drafts`. Interruptions that count in nothing stand only where their outage does.
    pub(super) fn finish(&self, drafts: &[Draft]) -> (Vec<Interruption>, BTreeMap<OutageId, Outage>) {
        let mut by_part: BTreeMap<Part, Vec<&Draft>> = BTreeMap::new();
        for draft in drafts {
            by_part.entry(draft.part).or_default().push(draft);
        }
        let mut groups: Vec<Group<'_>> = by_part
            .into_iter()
            .filter_map(|(part, drafts)| self.group(part, drafts))
            .collect();
        // Of those that begin in one quarter hour the widest is named first: by what is hardest to change.
        // Among equals by place and consumer, never by the order in which the picture names them.
        groups.sort_by(|a, b| {
            let key = |group: &Group<'_>| (std::cmp::Reverse(group.scope), group.started_at);
            (key(a), &a.node, self.consumer_of(a.part)).cmp(&(key(b), &b.node, self.consumer_of(b.part)))
        });
        let (mut interruptions, mut outages) = (Vec::with_capacity(drafts.len()), BTreeMap::new());
        let dead_times = self.dead_times();
        let mut taken = BTreeSet::new();
        for group in &groups {
            let id = self.name(group, &mut taken);
            let outage = self.outage(id, group, dead_times.get(&group.part));
            interruptions.extend(group.drafts.iter().filter_map(|draft| {
                let consumer = self.picture.consumers.get(draft.consumer)?.consumer.clone();
                Some(draft.finish(self.rules, consumer, outage.id.clone(), outage.class))
            }));
            outages.insert(outage.id.clone(), outage);
        }
        self.add_scheduled(&mut outages);
        interruptions.sort_by(|a, b| (a.started_at, &a.consumer).cmp(&(b.started_at, &b.consumer)));
        (interruptions, outages)
    }

    fn group<'d>(&self, part: Part, drafts: Vec<&'d Draft>) -> Option<Group<'d>> {
        let counting = drafts.iter().filter(|draft| draft.excluded_because.is_none());
        let started_at = counting.map(|draft| draft.started_at).min()?;
        let feeder = &self.picture.feeder;
        let dt_node = |dt: usize| self.picture.dts.get(dt).map_or(feeder, |dt| &dt.node);
        let (scope, node) = match part {
            Part::Planned(ix) => {
                let node = &self.picture.planned.get(ix)?.node;
                (self.planned_scope(node), node)
            }
            Part::Feeder(_) => (Scope::Feeder, feeder),
            Part::Dt(dt, _) => (Scope::Dt, dt_node(dt)),
            Part::Line { .. } => {
                let dt = drafts.first().and_then(|draft| draft.dt);
                (Scope::ServiceLine, dt.map_or(feeder, dt_node))
            }
        };
        Some(Group {
            part,
            drafts,
            scope,
            node: node.clone(),
            started_at,
        })
    }

    fn consumer_of(&self, part: Part) -> &str {
        match part {
            Part::Line { consumer, .. } => self
                .picture
                .consumers
                .get(consumer)
                .map_or("", |picture| picture.consumer.as_str()),
            Part::Planned(_) | Part::Feeder(_) | Part::Dt(..) => "",
        }
    }

    fn planned_scope(&self, node: &NodeId) -> Scope {
        if *node == self.picture.feeder {
            Scope::Feeder
        } else if self.picture.dts.iter().any(|dt| dt.node == *node) {
            Scope::Dt
        } else {
            Scope::Substation
        }
    }

    /// The dead time of the node of each part: from the first that began to the last that ended. Where the feeder was dead its own times
    /// stand, not those of a DT that came back later.
    fn dead_times(&self) -> BTreeMap<Part, DeadTime> {
        let mut found: BTreeMap<Part, DeadTime> = BTreeMap::new();
        let Some((of_feeder, of_dts)) = self.covers.split_last() else {
            return found;
        };
        let places = [(true, std::slice::from_ref(of_feeder)), (false, of_dts)];
        for (is_feeder, covers) in places {
            for cover in covers.iter().flatten() {
                let time = DeadTime {
                    failed: cover.period.failed,
                    restored: cover.period.restored,
                    is_feeder,
                };
                let held = found.entry(cover.part).or_insert(time);
                if held.is_feeder == is_feeder {
                    held.failed = held.failed.min(time.failed);
                    held.restored = held.restored.zip(time.restored).map(|(a, b)| a.max(b));
                }
            }
        }
        found
    }

    /// The id of a group: feeder and quarter hour of its begin; the second and further ones of one quarter hour say where, too.
    fn name(&self, group: &Group<'_>, taken: &mut BTreeSet<OutageId>) -> OutageId {
        if let Part::Planned(ix) = group.part
            && let Some(planned) = self.picture.planned.get(ix)
        {
            return planned_id(planned);
        }
        let quarter = UtcMicros(
            group
                .started_at
                .0
                .div_euclid(QUARTER_MICROS)
                .saturating_mul(QUARTER_MICROS),
        );
        let base = format!("{}.{}", self.picture.feeder, compact(quarter, 13));
        let place = match group.part {
            Part::Planned(_) | Part::Feeder(_) => base.clone(),
            Part::Dt(..) => format!("{base}.{}", group.node),
            Part::Line { .. } => {
                let consumer = fingerprint(self.consumer_of(group.part));
                format!("{base}.{}.{consumer:08x}", group.node)
            }
        };
        let moment = format!("{place}.{}", compact(group.started_at, 15));
        let exact = format!("{place}.{}", group.started_at.0);
        for name in [base, place, moment] {
            let id = OutageId(name);
            if taken.insert(id.clone()) {
                return id;
            }
        }
        let mut id = OutageId(exact);
        while !taken.insert(id.clone()) {
            // Two consumers of one fingerprint at one instant.
            id.0.push('x');
        }
        id
    }

    fn outage(&self, id: OutageId, group: &Group<'_>, dead: Option<&DeadTime>) -> Outage {
        let counting = || {
            group
                .drafts
                .iter()
                .filter(|draft| draft.excluded_because.is_none())
        };
        // Each consumer once, with the end of its last interruption; `FOREVER`: still out.
        let mut ends: BTreeMap<usize, UtcMicros> = BTreeMap::new();
        let mut known_from: BTreeMap<Source, usize> = BTreeMap::new();
        for draft in counting() {
            let end = ends.entry(draft.consumer).or_insert(UtcMicros(i64::MIN));
            *end = (*end).max(draft.ended_at.unwrap_or(FOREVER));
            *known_from.entry(draft.failed_from()).or_default() += 1;
        }
        let last = ends.values().copied().max().unwrap_or(FOREVER);
        let restored_count = ends.values().filter(|end| **end != FOREVER).count();
        let status = match (last == FOREVER, restored_count) {
            (false, _) => Status::Restored,
            (true, 0) => Status::Active,
            (true, _) => Status::PartiallyRestored,
        };
        let first = counting().map(|draft| draft.failed_and_restored()).min();
        let (failed, restored) = dead
            .map(|dead| (dead.failed, dead.restored))
            .or(first)
            .unwrap_or((Moment::exact(group.started_at, Source::Neighbours), None));
        Outage {
            id,
            node: group.node.clone(),
            scope: group.scope,
            class: self.class(group.part),
            status,
            started_at: group.started_at,
            ended_at: (last != FOREVER).then_some(last),
            consumers_affected: ends.len(),
            consumers_restored: restored_count,
            evidence: OutageEvidence {
                failed,
                restored,
                is_node_dead: dead.is_some_and(|dead| dead.is_feeder || group.scope < Scope::Feeder),
                known_from,
                steps: steps(self.rules, ends.into_values()),
            },
        }
    }

    fn class(&self, part: Part) -> Class {
        match part {
            Part::Planned(ix) => self
                .picture
                .planned
                .get(ix)
                .map_or(Class::Planned, |planned| planned.class),
            Part::Feeder(_) | Part::Dt(..) | Part::Line { .. } => Class::Breakdown,
        }
    }

    /// Planned outages that interrupted nobody: announced while their time lasts, cancelled after it.
    fn add_scheduled(&self, outages: &mut BTreeMap<OutageId, Outage>) {
        for planned in &self.picture.planned {
            if planned.span.to <= self.window.since {
                continue;
            }
            outages
                .entry(planned_id(planned))
                .or_insert_with_key(|id| Outage {
                    id: id.clone(),
                    node: planned.node.clone(),
                    scope: self.planned_scope(&planned.node),
                    class: planned.class,
                    status: if planned.span.to <= self.window.through {
                        Status::Cancelled
                    } else {
                        Status::Scheduled
                    },
                    started_at: planned.span.from,
                    ended_at: None,
                    consumers_affected: 0,
                    consumers_restored: 0,
                    evidence: OutageEvidence {
                        failed: Moment::exact(planned.span.from, Source::Announcement),
                        restored: None,
                        is_node_dead: false,
                        known_from: BTreeMap::new(),
                        steps: Vec::new(),
                    },
                });
        }
    }
}

/// The id of a planned outage: its node and its planned begin.
#[must_use]
pub fn planned_id(planned: &Planned) -> OutageId {
    OutageId(format!(
        "{}.{}.planned",
        planned.node,
        compact(planned.span.from, 15)
    ))
}

/// Restorations that lie no further apart than clocks may differ are one step.
fn steps(rules: &Rules, ends: impl Iterator<Item = UtcMicros>) -> Vec<Step> {
    let mut ends: Vec<UtcMicros> = ends.filter(|end| *end != FOREVER).collect();
    ends.sort_unstable();
    let mut steps: Vec<Step> = Vec::new();
    for at in ends {
        match steps.last_mut() {
            Some(step) if at <= step.at.plus(rules.together_micros) => {
                step.at = at;
                step.consumers += 1;
            }
            _ => steps.push(Step { at, consumers: 1 }),
        }
    }
    steps
}

/// An instant of UTC as `20260401T043000`, cut to `length` characters.
fn compact(at: UtcMicros, length: usize) -> String {
    let text = at.to_rfc3339(&Zone::utc());
    text.chars()
        .filter(|letter| letter.is_ascii_digit() || *letter == 'T')
        .take(length)
        .collect()
}

/// FNV-1a, 32 bits. Ids are public (rule 16(4)(d)); a consumer's number is not.
fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
