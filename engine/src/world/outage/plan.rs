//! Planned outages and hours of supply, as people said them: of two rows with one key the later recorded stands, then the larger content.

use std::collections::BTreeMap;

use gridtally_schemas::{
    NodeId, UtcMicros, Zone,
    outage::{PlannedClass, PlannedOutageRow, SupplyHoursRow},
};

use hashbrown::HashMap;

use crate::outage::{
    Class, FOREVER, Outage, OutageId, Planned, Span,
    hours::{Hours, without_supply},
    planned_id,
};

/// A row with when it was recorded.
type Said<R> = (UtcMicros, R);

/// Rows of hours of one node and category, by weekdays, begin and validity.
type HoursRows = BTreeMap<(String, String, UtcMicros), Said<SupplyHoursRow>>;

/// Hours at one place.
#[derive(Debug, Default)]
struct HoursAt {
    /// Of everybody.
    all: HoursRows,
    by_category: HashMap<String, HoursRows>,
}

impl HoursAt {
    fn of(&self, category: Option<&str>) -> Option<&HoursRows> {
        let rows = match category {
            None => Some(&self.all),
            Some(category) => self.by_category.get(category),
        };
        rows.filter(|rows| !rows.is_empty())
    }
}

/// All that is planned.
#[derive(Debug, Default)]
pub(super) struct Plan {
    planned: BTreeMap<(NodeId, UtcMicros), Said<PlannedOutageRow>>,
    /// Hours by node: each consumer is asked for at every node above it, and a utility says hours of thousands of DTs.
    hours: HashMap<NodeId, HoursAt>,
    hours_everywhere: HoursAt,
}

/// Which rows of hours hold for a consumer: those of a node, of a category, or of a category under a node.
pub(super) type HoursOf = (Option<NodeId>, Option<String>);

fn merge<K: Ord, R: PartialEq + serde::Serialize>(
    rows: &mut BTreeMap<K, Said<R>>,
    key: K,
    (recorded_at, row): Said<R>,
) -> bool {
    let content = |row: &R| serde_json::to_string(row).unwrap_or_default();
    match rows.get_mut(&key) {
        None => {
            rows.insert(key, (recorded_at, row));
            true
        }
        Some((held_at, held)) if *held == row => {
            // Said again, so a contradiction recorded in between is older than this word.
            *held_at = (*held_at).max(recorded_at);
            false
        }
        Some((held_at, held)) => {
            let stands = (recorded_at, content(&row)) > (*held_at, content(held));
            if stands {
                (*held_at, *held) = (recorded_at, row);
            }
            stands
        }
    }
}

impl Plan {
    /// Merges a planned outage; true when it changed something.
    pub(super) fn merge_planned(&mut self, recorded_at: UtcMicros, row: PlannedOutageRow) -> bool {
        let key = (row.node_id.clone(), row.start);
        merge(&mut self.planned, key, (recorded_at, row))
    }

    /// Merges hours of supply; true when they changed something.
    pub(super) fn merge_hours(&mut self, recorded_at: UtcMicros, row: SupplyHoursRow) -> bool {
        let place = match &row.node_id {
            Some(node) => self.hours.entry(node.clone()).or_default(),
            None => &mut self.hours_everywhere,
        };
        let rows = match &row.category {
            Some(category) => place.by_category.entry(category.clone()).or_default(),
            None => &mut place.all,
        };
        let key = (row.weekdays.to_string(), row.from.to_string(), row.valid_from);
        merge(rows, key, (recorded_at, row))
    }

    /// The planned outages of these nodes, by node and begin.
    pub(super) fn planned_at<'a>(&'a self, nodes: impl Iterator<Item = &'a NodeId>) -> Vec<Planned> {
        let mut planned: Vec<Planned> = Vec::new();
        for node in nodes {
            let from = (node.clone(), UtcMicros(i64::MIN));
            let rows = self.planned.range(from..).take_while(|((of, _), _)| of == node);
            planned.extend(rows.map(|(_, (_, row))| planned_of(row)));
        }
        planned.sort();
        planned
    }

    /// The row that an outage is the outage of; `None`: it was not announced.
    pub(super) fn row_of(&self, outage: &Outage) -> Option<&PlannedOutageRow> {
        self.row_named(&outage.node, &outage.id)
    }

    /// The same by the outage's node and id.
    pub(super) fn row_named(&self, node: &NodeId, id: &OutageId) -> Option<&PlannedOutageRow> {
        let rows = self.planned.range((node.clone(), UtcMicros(i64::MIN))..);
        let of_node = rows.take_while(|((of, _), _)| of == node);
        of_node
            .map(|(_, (_, row))| row)
            .find(|row| planned_id(&planned_of(row)) == *id)
    }

    /// Whether nothing is planned.
    pub(super) fn is_empty(&self) -> bool {
        self.planned.is_empty()
    }

    /// The rows of hours that hold for consumers of a category at a place, `places` nearest first: those of the category at the nearest
    /// node that has some, else those of the nearest node, else those of the category everywhere. `None`: supply is always due.
    pub(super) fn hours_of(&self, places: &[&NodeId], category: Option<&str>) -> Option<HoursOf> {
        let at_node = |category: Option<&str>| {
            let is_said =
                |node: &&&NodeId| self.hours.get(**node).is_some_and(|at| at.of(category).is_some());
            let node = places.iter().find(is_said)?;
            Some((Some((*node).clone()), category.map(str::to_owned)))
        };
        let everywhere = |category: &str| {
            let is_said = self.hours_everywhere.of(Some(category)).is_some();
            is_said.then(|| (None, Some(category.to_owned())))
        };
        let of_both = category.and_then(|category| at_node(Some(category)));
        of_both
            .or_else(|| at_node(None))
            .or_else(|| category.and_then(everywhere))
    }

    /// The stretches of `within` without supply by these rows.
    pub(super) fn without_supply(&self, (node, category): &HoursOf, within: Span, zone: &Zone) -> Vec<Span> {
        let place = match node {
            Some(node) => self.hours.get(node),
            None => Some(&self.hours_everywhere),
        };
        let held = place.and_then(|place| place.of(category.as_deref()));
        let held = held.into_iter().flatten();
        let rows = held.map(|(_, (_, row))| Hours {
            weekdays: row.weekdays,
            from_minute: row.from.minutes(),
            to_minute: row.to.minutes(),
            valid: Span::new(row.valid_from, row.valid_to.unwrap_or(FOREVER)),
        });
        without_supply(&rows.collect::<Vec<_>>(), within, zone)
    }
}

fn planned_of(row: &PlannedOutageRow) -> Planned {
    Planned {
        node: row.node_id.clone(),
        span: Span::new(row.start, row.end),
        class: class_of(row.class),
    }
}

fn class_of(class: PlannedClass) -> Class {
    match class {
        PlannedClass::Planned => Class::Planned,
        PlannedClass::ScheduledRostering => Class::ScheduledRostering,
        PlannedClass::EmergencyRostering => Class::EmergencyRostering,
    }
}
