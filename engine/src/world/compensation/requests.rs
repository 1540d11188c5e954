//! Requests with a time limit, as they were said: of two rows of one request the later recorded stands, then the larger content.

use std::collections::BTreeSet;

use gridtally_schemas::{ConsumerId, UtcMicros, compensation::ServiceRequestRow};
use hashbrown::HashMap;

use super::World;
use crate::compensation::evidence::Request;

/// All requests.
#[derive(Debug, Default)]
pub(super) struct Requests {
    rows: HashMap<String, (UtcMicros, ServiceRequestRow)>,
    of: HashMap<ConsumerId, BTreeSet<String>>,
}

impl Requests {
    /// Merges a row. `None`: it changes nothing; else those whom it concerns.
    pub(super) fn merge(
        &mut self,
        recorded_at: UtcMicros,
        row: &ServiceRequestRow,
    ) -> Option<Vec<ConsumerId>> {
        let content = |row: &ServiceRequestRow| serde_json::to_string(row).unwrap_or_default();
        let mut concerned = vec![row.consumer_id.clone()];
        if let Some((held_at, held)) = self.rows.get_mut(&row.request_id) {
            if held == row {
                // Said again, so a contradiction recorded in between is older than this word.
                *held_at = (*held_at).max(recorded_at);
                return None;
            }
            if (recorded_at, content(row)) <= (*held_at, content(held)) {
                return None;
            }
            if let Some(of_before) = self.of.get_mut(&held.consumer_id) {
                of_before.remove(&row.request_id);
            }
            concerned.push(held.consumer_id.clone());
        }
        self.rows
            .insert(row.request_id.clone(), (recorded_at, row.clone()));
        let of = self.of.entry(row.consumer_id.clone()).or_default();
        of.insert(row.request_id.clone());
        Some(concerned)
    }

    fn of(&self, consumer: &ConsumerId) -> impl Iterator<Item = &ServiceRequestRow> {
        let ids = self.of.get(consumer).into_iter().flatten();
        ids.filter_map(|id| self.rows.get(id)).map(|(_, row)| row)
    }
}

impl World {
    /// Consumers who made requests.
    pub(crate) fn requesters(&self) -> impl Iterator<Item = &ConsumerId> {
        self.compensation.requests.of.keys()
    }

    /// A consumer's requests, as evidence.
    pub(super) fn requests_of(&self, consumer: &ConsumerId) -> Vec<Request> {
        let request = |row: &ServiceRequestRow| Request {
            request_id: row.request_id.clone(),
            kind: row.kind.as_str().to_owned(),
            opened_at: row.opened_at,
            closed_at: row.closed_at,
            connection: self.connection_at(consumer, row.opened_at),
            exemptions: Vec::new(),
        };
        self.compensation.requests.of(consumer).map(request).collect()
    }
}
