//! What is known of a consumer, gathered from the picture.

use std::collections::BTreeMap;

use gridtally_schemas::{
    ConsumerId, Day, UtcMicros,
    network::{AreaClass, Supply},
    outage::PlannedOutageRow,
};

use super::World;
use crate::{
    compensation::{
        Paise,
        calendar::{Period, financial_year},
        evidence::{
            Connection, Evidence, Exemption, Interruption as Lost, Notice, OutageClass, Scope, Span,
            SupplyLoss,
        },
        in_force::InForce,
        rule::RuleBook,
    },
    network::{ConnectionRowOf, NodeIx},
    outage::{self, Class, Interruption, OutageId},
    world::outage::{OutageView, picture::above},
};

/// The fault type by which a crew says that the fault is the consumer's own.
pub(super) const CONSUMER_FAULT: &str = "consumer_fault";

/// What is known of an outage, whoever tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutageFacts {
    pub(crate) id: String,
    pub(crate) class: OutageClass,
    pub(crate) scope: Scope,
    /// By the crew's word.
    pub(crate) fault_type: Option<String>,
    pub(crate) force_majeure: bool,
    pub(crate) consumers_affected: u32,
    /// Whether consumers were told before it began.
    pub(crate) is_announced: bool,
}

impl World {
    /// All that is known of a consumer.
    pub(super) fn evidence_of(&self, consumer: &ConsumerId) -> Evidence {
        let mut by_outage: BTreeMap<&OutageId, Vec<&Interruption>> = BTreeMap::new();
        for interruption in self.interruptions_of_consumer(consumer.as_str()) {
            // OUT-1: cut-offs, disconnections and hours without supply are none.
            if interruption.excluded_because.is_none() {
                by_outage
                    .entry(&interruption.outage)
                    .or_default()
                    .push(interruption);
            }
        }
        let losses = by_outage.into_iter().filter_map(|(id, interruptions)| {
            let facts = self.facts_of(&self.outage(id)?);
            let not_due = self.not_due(consumer, &interruptions);
            let lost = interruptions.iter().map(|held| Lost {
                started_at: held.started_at,
                ended_at: held.ended_at,
            });
            self.supply_loss(consumer, &facts, lost.collect(), not_due)
        });
        let losses = losses.collect();
        self.evidence_with(consumer, losses)
    }

    /// What is known of a consumer beside these losses of supply, and they.
    pub(crate) fn evidence_with(&self, consumer: &ConsumerId, losses: Vec<SupplyLoss>) -> Evidence {
        let mut evidence = Evidence {
            claims: self.claims_of(consumer, &losses),
            losses,
            requests: self.requests_of(consumer),
            voltages: self.voltages_of(consumer),
            ..Evidence::none(consumer.clone())
        };
        self.add_fixed_charges(&mut evidence);
        evidence
    }

    fn facts_of(&self, OutageView { outage, known, .. }: &OutageView) -> OutageFacts {
        let row = self.planned_of(outage);
        OutageFacts {
            id: outage.id.to_string(),
            class: class_of(outage.class),
            scope: scope_of(outage.scope),
            fault_type: known.fault_type.clone(),
            force_majeure: known.force_majeure,
            consumers_affected: u32::try_from(outage.consumers_affected).unwrap_or(u32::MAX),
            is_announced: row.is_some_and(PlannedOutageRow::is_announced),
        }
    }

    /// A consumer's part in an outage; `None`: it has no interruption.
    pub(crate) fn supply_loss(
        &self,
        consumer: &ConsumerId,
        facts: &OutageFacts,
        interruptions: Vec<Lost>,
        not_due: Vec<Span>,
    ) -> Option<SupplyLoss> {
        let began_at = interruptions.iter().map(|held| held.started_at).min()?;
        let is_own = facts.fault_type.as_deref() == Some(CONSUMER_FAULT);
        let exemptions = [
            (facts.force_majeure, Exemption::ForceMajeure),
            (is_own, Exemption::ConsumerFault),
        ];
        let holding = exemptions.into_iter().filter(|(holds, _)| *holds);
        Some(SupplyLoss {
            outage_id: facts.id.clone(),
            class: facts.class,
            notice: if facts.is_announced {
                Notice::Given
            } else {
                Notice::NotGiven
            },
            scope: facts.scope,
            fault_type: facts.fault_type.clone().filter(|_| !is_own),
            consumers_affected: facts.consumers_affected,
            exemptions: holding.map(|(_, exemption)| exemption).collect(),
            outside_supply_hours: not_due,
            connection: self.connection_at(consumer, began_at),
            interruptions,
        })
    }

    /// Stretches within interruptions in which no supply was due or the consumer's switch was open.
    fn not_due(&self, consumer: &ConsumerId, interruptions: &[&Interruption]) -> Vec<Span> {
        let is_whole = |held: &&&Interruption| {
            let lasted = held.ended_at.map(|ended_at| ended_at.0 - held.started_at.0);
            lasted.is_some() && held.counted_micros == lasted
        };
        let mut spans = Vec::new();
        for held in interruptions.iter().filter(|held| !is_whole(held)) {
            for off in self.off_times_at(consumer, held.started_at) {
                spans.push(Span {
                    from: off.from,
                    to: off.to,
                });
            }
        }
        spans.sort_unstable();
        spans.dedup();
        spans
    }

    fn off_times_at(&self, consumer: &ConsumerId, at: UtcMicros) -> Vec<outage::Span> {
        let row = self.connection_row_at(consumer, at);
        let Some(node) = row.and_then(|row| row.node) else {
            return Vec::new();
        };
        let mut feeders = Vec::new();
        self.network.feeders_above(node, &mut feeders);
        self.off_times_of(consumer, &feeders)
    }

    /// The row of a consumer's connection at an instant, by which it hangs where it does: of several the one of the lowest meter.
    pub(super) fn connection_row_at(
        &self,
        consumer: &ConsumerId,
        at: UtcMicros,
    ) -> Option<ConnectionRowOf<'_>> {
        let held = self.connections_of(consumer).into_iter();
        let rows = held.filter_map(|connection| connection.history().at(at));
        rows.min_by_key(|row| row.meter_id())
    }

    /// A consumer's connection at an instant; where it had none, the first that it got, as of when it got it.
    pub(super) fn connection_at(&self, consumer: &ConsumerId, at: UtcMicros) -> Connection {
        let row = self.connection_row_at(consumer, at);
        let (row, at) = match row {
            Some(row) => (Some(row), at),
            None => {
                let held = self.connections_of(consumer).into_iter();
                let rows = held.flat_map(|connection| connection.history().rows());
                let first = rows.min_by_key(|row| (row.valid_from, row.meter_id()));
                (first, first.map_or(at, |row| row.valid_from))
            }
        };
        Connection {
            // Nothing is known of a consumer without any connection: of those without one nearly all ask for low tension.
            supply: row.map_or(Supply::Lt, |row| row.supply),
            area_class: row.and_then(|row| self.area_at(row.node?, at)),
        }
    }

    /// The area class of a node at an instant: its own, else that of the nearest node above that has one.
    fn area_at(&self, node: NodeIx, at: UtcMicros) -> Option<AreaClass> {
        let mut line = self.network.at_and_above(node, at);
        line.find_map(|node| self.network.node(node)?.history.at(at)?.area_class)
    }

    /// The regulations in force where a consumer hangs by its newest row.
    pub(super) fn book_of(&self, consumer: &ConsumerId) -> Option<RuleBook> {
        self.book_in(&self.settings.compensation.in_force, consumer)
    }

    /// The same with other regulations.
    pub(crate) fn book_in(&self, in_force: &InForce, consumer: &ConsumerId) -> Option<RuleBook> {
        if !in_force.is_by_place() {
            return in_force.at([]);
        }
        let newest = self
            .connections_of(consumer)
            .into_iter()
            .filter_map(|connection| connection.history().newest())
            .max_by_key(|row| (row.valid_from, row.meter_id()));
        let node = newest.and_then(|row| row.node);
        let above = node.map_or_else(Vec::new, |node| above(&self.network, node));
        in_force.at(newest.and_then(|row| row.node_id()).into_iter().chain(&above))
    }

    /// The fixed charges of the years in which something began, where bills are known.
    fn add_fixed_charges(&self, evidence: &mut Evidence) {
        if self.bills.is_empty() {
            return;
        }
        let zone = &self.settings.zone;
        let losses = evidence.losses.iter().flat_map(|loss| &loss.interruptions);
        let began = losses.map(|lost| lost.started_at);
        let days = began.chain(evidence.requests.iter().map(|request| request.opened_at));
        let days: Vec<Day> = days.map(|at| zone.day_of(at)).collect();
        for day in days {
            let year = financial_year(day);
            if evidence.fixed_charges.contains_key(&year) {
                continue;
            }
            let first = Period::Year.first_day(day);
            let months = std::iter::successors(Some(first), |month| Some(Period::Month.after(*month)));
            let months: Vec<Day> = months.take(12).collect();
            let charges = self.bills.fixed_charges(&evidence.consumer_id, &months);
            evidence
                .fixed_charges
                .extend(charges.map(|charges| (year, Paise(charges))));
        }
    }
}

const fn class_of(class: Class) -> OutageClass {
    match class {
        Class::Breakdown => OutageClass::Breakdown,
        Class::Planned => OutageClass::Planned,
        Class::ScheduledRostering => OutageClass::ScheduledRostering,
        Class::EmergencyRostering => OutageClass::EmergencyRostering,
    }
}

const fn scope_of(scope: outage::Scope) -> Scope {
    match scope {
        outage::Scope::ServiceLine => Scope::ServiceLine,
        outage::Scope::Dt => Scope::Dt,
        outage::Scope::Feeder => Scope::Feeder,
        outage::Scope::Substation => Scope::Substation,
    }
}
