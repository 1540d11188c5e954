//! Everything that one entry rests on, for who explains it.

use gridtally_schemas::{
    ConsumerId, MeterId, NodeId, UtcMicros,
    network::{ConnectionRow, NodeRow},
};

use super::{FeedEntry, World};
use crate::{
    compensation::{
        evidence::{Claim, Request, SupplyLoss},
        ledger::{DefaultKey, EntryId},
        regulation::Regulation,
        rule::Decision,
    },
    network::{Meter, NodeIx, Recorded},
    outage::{Interruption, OutageId},
    world::OutageView,
};

/// What an entry rests on, as it stands now.
#[derive(Debug, Clone)]
pub struct Case {
    /// The entry.
    pub entry: FeedEntry,
    /// All entries for the same default, in order.
    pub chain: Vec<FeedEntry>,
    /// The rule applied to what is known now; `None`: the default is none any more.
    pub decision: Option<Decision>,
    /// The regulation by which the entry was made; `None`: it is configured no more.
    pub regulation: Option<Regulation>,
    /// The consumer's part in the outage; `None`: the default is no outage, or no such outage stands now.
    pub loss: Option<SupplyLoss>,
    /// The outage.
    pub outage: Option<OutageView>,
    /// The consumer's interruptions in it.
    pub interruptions: Vec<Interruption>,
    /// The request; `None`: the default is none.
    pub request: Option<Request>,
    /// Claims for the default.
    pub claims: Vec<Claim>,
    /// Meters that ever served the consumer.
    pub meters: Vec<MeterId>,
    /// The instant for which connection and network are given: the begin of the default.
    pub at: UtcMicros,
    /// The connection then.
    pub connection: Option<Recorded<ConnectionRow>>,
    /// The node it hung on then and those above, nearest first.
    pub nodes: Vec<Recorded<NodeRow>>,
}

impl World {
    /// What an entry rests on; `None`: there is no such entry.
    #[must_use]
    pub fn compensation_case(&self, entry_id: &EntryId, now: UtcMicros) -> Option<Case> {
        let entry = self.compensation_entry(entry_id)?;
        let content = &entry.entry.content;
        let (consumer, default) = (&content.consumer_id, &content.default);
        let evidence = self.evidence_of(consumer);
        let decided = self.decided(&evidence, now).map(|(_, decisions)| decisions);
        let decision = decided
            .into_iter()
            .flatten()
            .find(|decision| decision.default == *default);
        let outage_id = default.outage_id().map(|id| OutageId::from(id.to_owned()));
        let loss = evidence
            .losses
            .into_iter()
            .find(|loss| default.outage_id() == Some(loss.outage_id.as_str()));
        let request = evidence.requests.into_iter().find(|request| match default {
            DefaultKey::Request(id) => *id == request.request_id,
            DefaultKey::Outage(_) | DefaultKey::Period { .. } => false,
        });
        let claims = evidence
            .claims
            .into_iter()
            .filter(|claim| claim.default == *default);
        let claims = claims.collect();
        let in_outage = |held: &&Interruption| Some(&held.outage) == outage_id.as_ref();
        let interruptions: Vec<Interruption> = self
            .interruptions_of_consumer(consumer.as_str())
            .filter(in_outage)
            .cloned()
            .collect();
        let began = interruptions.iter().map(|held| held.started_at).min();
        let asked = request.as_ref().map(|request| request.opened_at);
        let decided_at = decision.as_ref().map(|decision| decision.began_at);
        let at = began.or(asked).or(decided_at).unwrap_or(entry.entry.created_at);
        let connection = self.recorded_connection(consumer, at);
        Some(Case {
            chain: self.compensation_chain(entry_id),
            regulation: self
                .settings
                .compensation
                .in_force
                .find(&content.grounds.regulation)
                .cloned(),
            outage: outage_id.as_ref().and_then(|id| self.outage(id)),
            meters: self.meters_of(consumer),
            nodes: connection
                .as_ref()
                .map_or_else(Vec::new, |held| self.recorded_nodes(&held.row.node_id, at)),
            decision,
            loss,
            interruptions,
            request,
            claims,
            at,
            connection,
            entry,
        })
    }

    fn meters_of(&self, consumer: &ConsumerId) -> Vec<MeterId> {
        let meters = self.connections_of(consumer).into_iter();
        let meters = meters.filter_map(|held| self.network.meter(held.meter()?));
        let mut ids: Vec<MeterId> = meters.filter_map(Meter::meter_id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn recorded_connection(&self, consumer: &ConsumerId, at: UtcMicros) -> Option<Recorded<ConnectionRow>> {
        self.connection_row_at(consumer, at)?.recorded()
    }

    fn recorded_nodes(&self, node: &NodeId, at: UtcMicros) -> Vec<Recorded<NodeRow>> {
        let node = self.network.find_node(node.as_str()).into_iter();
        let line = node.flat_map(|node| self.network.at_and_above(node, at));
        let recorded = |node: NodeIx| self.network.node(node)?.history.recorded_at(at).cloned();
        line.map_while(recorded).collect()
    }
}
