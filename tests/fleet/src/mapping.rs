//! Wrong mappings: consumers whom master data has on another DT than the one on which they hang. A pure function of the fleet's seed.
//!
//! Energies and voltages stay those of the place where a consumer hangs; only its row in `connections` is another. So are the truth and
//! [`crate::Feeder::balance_of`]: by where consumers hang.

use gridtally_schemas::{
    ConsumerId, NodeId,
    network::{ConnectionRow, Prosumer, Supply},
};

use crate::{
    feeder::{Feeder, Meter, MeterRef},
    layout::Fleet,
    prng::{count, size},
};

/// A consumer who is recorded elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongMapping {
    /// Who.
    pub consumer_id: ConsumerId,
    /// Its meter, with the DT on which it hangs.
    pub meter: Meter,
    /// The DT on which it hangs.
    pub hangs_on: NodeId,
    /// The DT on which master data has it.
    pub recorded_at: NodeId,
    /// Its sanctioned load, W.
    pub sanctioned_w: i64,
}

/// Above this sanctioned load a consumer is large, and as likely to be planted as four others, W.
const LARGE_W: i64 = 8_000;

impl Fleet {
    /// Wrong mappings: `permille` of the consumers with an LT meter and nothing to sell under gross metering, half of them recorded on
    /// another DT of their feeder, half on one of the feeder beside it.
    #[must_use]
    pub fn wrong_mappings(&self, permille: u16) -> Vec<WrongMapping> {
        let feeders: Vec<Feeder> = self.feeders().collect();
        let of_feeder = |feeder: &Feeder| {
            let beside = feeders.get(size(feeder.number() ^ 1));
            let rows = feeder.connections();
            let planted = rows
                .iter()
                .filter_map(|row| feeder.wrong_mapping(row, beside.unwrap_or(feeder), permille));
            planted.collect::<Vec<_>>()
        };
        feeders.iter().flat_map(of_feeder).collect()
    }
}

impl Feeder {
    fn wrong_mapping(&self, row: &ConnectionRow, beside: &Self, permille: u16) -> Option<WrongMapping> {
        let slot = MeterRef::parse(row.meter_id.as_ref()?.as_str())?.slot;
        let meter = self.meters().get(usize::try_from(slot).ok()?).copied()?;
        let kilowatts = row.sanctioned_load_kw?;
        let sanctioned_w: i64 = format!("{:.0}", kilowatts * 1_000.0).parse().ok()?;
        let chance = if sanctioned_w > LARGE_W {
            permille.saturating_mul(4)
        } else {
            permille
        };
        let key = meter.key.part(61);
        let is_possible = row.supply == Supply::Lt && row.prosumer != Prosumer::GrossMetering;
        if !is_possible || !key.chance_permille(chance) {
            return None;
        }
        let other = if key.part(1).chance_permille(500) {
            self
        } else {
            beside
        };
        let recorded_at = other.dt_id(size(key.part(2).below(count(other.dt_count()))));
        let recorded_at = NodeId::parse(&recorded_at).ok()?;
        (recorded_at != row.node_id).then(|| WrongMapping {
            consumer_id: row.consumer_id.clone(),
            meter,
            hangs_on: row.node_id.clone(),
            recorded_at,
            sanctioned_w,
        })
    }
}
