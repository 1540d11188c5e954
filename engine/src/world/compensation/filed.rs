//! What consumers file: requests with a time limit, and claims. Of two rows of one id the later recorded stands, then the larger content.

use std::collections::BTreeSet;

use gridtally_schemas::{
    ConsumerId, UtcMicros,
    compensation::{ClaimAbout, ClaimRow, ServiceRequestRow},
};
use hashbrown::HashMap;
use serde::Serialize;

use super::World;
use crate::compensation::{
    evidence::{Claim, Request, SupplyLoss},
    ledger::DefaultKey,
};

/// A row with an id, of one consumer.
pub(super) trait FiledRow: Clone + PartialEq + Serialize {
    /// Its id.
    fn id(&self) -> &str;
    /// Whose it is.
    fn consumer(&self) -> &ConsumerId;
}

impl FiledRow for ServiceRequestRow {
    fn id(&self) -> &str {
        &self.request_id
    }
    fn consumer(&self) -> &ConsumerId {
        &self.consumer_id
    }
}

impl FiledRow for ClaimRow {
    fn id(&self) -> &str {
        &self.claim_id
    }
    fn consumer(&self) -> &ConsumerId {
        &self.consumer_id
    }
}

/// All that was filed of one kind.
#[derive(Debug)]
pub(super) struct Filed<R> {
    rows: HashMap<String, (UtcMicros, R)>,
    of: HashMap<ConsumerId, BTreeSet<String>>,
}

impl<R> Default for Filed<R> {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            of: HashMap::new(),
        }
    }
}

impl<R: FiledRow> Filed<R> {
    /// Merges a row. `None`: it changes nothing; else those whom it concerns: nobody where it repeats what stands. A repetition is kept
    /// all the same: it outweighs a contradiction recorded before it, whatever is read first, restarts between or not.
    pub(super) fn merge(&mut self, recorded_at: UtcMicros, row: &R) -> Option<Vec<ConsumerId>> {
        let content = |row: &R| serde_json::to_string(row).unwrap_or_default();
        let mut concerned = vec![row.consumer().clone()];
        if let Some((held_at, held)) = self.rows.get_mut(row.id()) {
            if (recorded_at, content(row)) <= (*held_at, content(held)) {
                return None;
            }
            if held == row {
                *held_at = recorded_at;
                return Some(Vec::new());
            }
            if let Some(of_before) = self.of.get_mut(held.consumer()) {
                of_before.remove(row.id());
            }
            concerned.push(held.consumer().clone());
        }
        let of = self.of.entry(row.consumer().clone()).or_default();
        of.insert(row.id().to_owned());
        self.rows.insert(row.id().to_owned(), (recorded_at, row.clone()));
        Some(concerned)
    }

    /// A consumer's, by id.
    pub(super) fn of(&self, consumer: &ConsumerId) -> impl Iterator<Item = &R> {
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

    /// A consumer's claims, as evidence beside these losses of supply. A claim for an instant at which the consumer had supply, as far
    /// as is known, is for nothing until evidence of the loss comes.
    pub(super) fn claims_of(&self, consumer: &ConsumerId, losses: &[SupplyLoss]) -> Vec<Claim> {
        let claims = self.compensation.claims.of(consumer);
        claims
            .filter_map(|row| {
                Some(Claim {
                    claim_id: row.claim_id.clone(),
                    default: claimed_for(&row.about, losses)?,
                    filed_at: row.filed_at,
                    upheld_at: row.upheld_at,
                })
            })
            .collect()
    }
}

/// The default that a claim is for.
fn claimed_for(about: &ClaimAbout, losses: &[SupplyLoss]) -> Option<DefaultKey> {
    let at = match about {
        ClaimAbout::Default(default) => return Some(default.clone()),
        ClaimAbout::NoSupplyAt(at) => *at,
    };
    // Of several losses at one instant the least id, so that the order of evidence decides nothing.
    let lost = losses.iter().filter(|loss| {
        let mut interruptions = loss.interruptions.iter();
        interruptions.any(|lost| lost.started_at <= at && lost.ended_at.is_none_or(|ended_at| at < ended_at))
    });
    let id = lost.map(|loss| &loss.outage_id).min()?;
    Some(DefaultKey::Outage(id.clone()))
}
