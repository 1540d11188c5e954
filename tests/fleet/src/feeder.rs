//! One feeder with all below it: DTs, consumers and meters, drawn from the seed.
//!
//! Meters stand in slots: for each DT its consumers' meters in order (a gross-metered consumer's generation meter right after
//! its own), then the DT's meter; after the last DT the HT consumers' meters, the feeder's meter and its boundary meter.

use std::fmt::Write as _;

use gridtally_schemas::{
    ConsumerId, IntervalMinutes, MeterId, Multiplier, NodeId,
    network::{ConnectionRow, MeterRole, MeterRow, Metering, NodeKind, NodeRow, Prosumer, Supply},
};

use crate::{
    layout::{FeederKind, Fleet, degrees, town},
    prng::{Key, count, real, signed},
    shape::Category,
};

mod draw;

/// A meter of a fleet, by its feeder's number and its slot there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MeterRef {
    /// Number of the feeder.
    pub feeder: u32,
    /// Slot within the feeder.
    pub slot: u32,
}

impl MeterRef {
    /// The meter's id, appended to `text`: `MH`, six digits of feeder, four of slot.
    pub fn write_id(self, text: &mut String) {
        // Writing into a String cannot fail.
        let _ = write!(text, "MH{:06}{:04}", self.feeder, self.slot);
    }

    /// The meter that an id of this form names.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        let digits = id.strip_prefix("MH")?;
        let (feeder, slot) = digits.split_at_checked(6)?;
        Some(Self {
            feeder: feeder.parse().ok()?,
            slot: slot.parse().ok()?,
        })
    }

    /// The meter's id.
    ///
    /// # Errors
    /// Never in practice: what [`Self::write_id`] writes is an id.
    pub fn id(self) -> Result<MeterId, gridtally_schemas::IdError> {
        let mut text = String::with_capacity(12);
        self.write_id(&mut text);
        MeterId::parse(&text)
    }
}

/// A meter with what turns its counts into energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    /// Which.
    pub meter: MeterRef,
    /// What it measures.
    pub role: MeterRole,
    /// Number of its DT within the feeder; `None`: on the feeder itself.
    pub dt: Option<usize>,
    /// Multiplying factor, a whole number.
    pub multiplier: i64,
    /// Length of its interval.
    pub minutes: IntervalMinutes,
    pub(crate) key: Key,
    /// Whether it sends exports: prosumers and everything on the network.
    pub(crate) sends_export: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Consumer {
    pub(crate) key: Key,
    pub(crate) category: Category,
    pub(crate) supply: Supply,
    pub(crate) metering: Metering,
    pub(crate) prosumer: Prosumer,
    /// Average power, W; of a pump set its rating.
    pub(crate) base_w: i64,
    /// Rating of the rooftop, W; 0: none.
    pub(crate) solar_w: i64,
    pub(crate) multiplier: i64,
    pub(crate) sanctioned_w: i64,
    /// Assessed consumption a month, whole kWh in Wh; 0 when metered.
    pub(crate) assessed_wh_month: i64,
    pub(crate) phases: u8,
    /// Share of its consumption that its meter does not see, per mille, and from which quarter on.
    pub(crate) bypass: Option<(i64, i64)>,
}

impl Consumer {
    pub(crate) fn is_metered(&self) -> bool {
        self.metering != Metering::Unmetered
    }
}

/// Somebody takes energy at a DT that no consumer's meter counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theft {
    /// The DT.
    pub dt_id: NodeId,
    /// The consumer who bypasses its meter; `None`: a hook on the line.
    pub consumer_id: Option<ConsumerId>,
    /// Bypass: share of the consumer's energy that its meter does not see, per mille. Hook: 1,000.
    pub share_permille: i64,
    /// First quarter of it.
    pub from: crate::Quarter,
}

/// When a hook draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HookHours {
    /// As a home in a village does.
    LikeAHome,
    /// A steady load from 22 h to 5 h.
    Night,
}

#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) hours: HookHours,
    pub(crate) key: Key,
    pub(crate) base_w: i64,
    pub(crate) from: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Dt {
    pub(crate) key: Key,
    pub(crate) consumers: Vec<Consumer>,
    pub(crate) metered: bool,
    pub(crate) multiplier: i64,
    pub(crate) minutes: IntervalMinutes,
    pub(crate) capacity_kva: i64,
    /// Technical loss at rated load, per mille of what flows through.
    pub(crate) technical_permille: i64,
    /// Hours-of-supply group of a DT that supplies pump sets only.
    pub(crate) supply_group: Option<u64>,
    pub(crate) hook: Option<Hook>,
}

/// A tie to a neighbouring feeder and its meter.
#[derive(Debug, Clone)]
pub(crate) struct Tie {
    pub(crate) key: Key,
    pub(crate) other: u64,
    /// Whether the boundary meter belongs to this feeder.
    pub(crate) owned: bool,
    pub(crate) multiplier: i64,
    /// Usual transfer in a quarter, counts of the meter.
    pub(crate) counts: i64,
}

/// One feeder with all below it.
#[derive(Debug, Clone)]
pub struct Feeder {
    pub(crate) fleet: Fleet,
    number: u64,
    pub(crate) kind: FeederKind,
    pub(crate) key: Key,
    pub(crate) dts: Vec<Dt>,
    pub(crate) ht: Vec<Consumer>,
    pub(crate) tie: Option<Tie>,
    pub(crate) multiplier: i64,
    pub(crate) capacity_kva: i64,
    /// 11 kV loss at usual load, per mille.
    pub(crate) line_permille: i64,
    pub(crate) consumer_minutes: IntervalMinutes,
    pub(crate) meters: Vec<Meter>,
}

impl Feeder {
    /// Its number in the fleet, from 0.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What it mainly supplies.
    #[must_use]
    pub fn kind(&self) -> FeederKind {
        self.kind
    }

    /// Its node id: `F` and six digits.
    #[must_use]
    pub fn id(&self) -> String {
        feeder_id(self.number)
    }

    /// Number of its DTs.
    #[must_use]
    pub fn dt_count(&self) -> usize {
        self.dts.len()
    }

    /// The node id of a DT: the feeder's, `-T` and two digits.
    #[must_use]
    pub fn dt_id(&self, dt: usize) -> String {
        format!("{}-T{:02}", self.id(), dt + 1)
    }

    /// Its meters, by slot.
    #[must_use]
    pub fn meters(&self) -> &[Meter] {
        &self.meters
    }

    /// Number of its consumers, metered or not, LT and HT.
    #[must_use]
    pub fn consumer_count(&self) -> usize {
        self.dts.iter().map(|dt| dt.consumers.len()).sum::<usize>() + self.ht.len()
    }

    /// Length of its balance interval: the longest among its meters.
    #[must_use]
    pub fn balance_minutes(&self) -> IntervalMinutes {
        self.meters
            .iter()
            .map(|meter| meter.minutes)
            .max()
            .unwrap_or(IntervalMinutes::Fifteen)
    }

    /// Who steals at it, from the seed.
    #[must_use]
    pub fn thefts(&self) -> Vec<Theft> {
        let mut thefts = Vec::new();
        let mut ordinal = 0;
        for (number, dt) in self.dts.iter().enumerate() {
            let Ok(dt_id) = NodeId::parse(&self.dt_id(number)) else {
                continue;
            };
            for consumer in &dt.consumers {
                if let Some((share_permille, from)) = consumer.bypass {
                    thefts.push(Theft {
                        dt_id: dt_id.clone(),
                        consumer_id: ConsumerId::parse(&self.consumer_id(ordinal)).ok(),
                        share_permille,
                        from: crate::Quarter(from),
                    });
                }
                ordinal += 1;
            }
            if let Some(hook) = &dt.hook {
                thefts.push(Theft {
                    dt_id,
                    consumer_id: None,
                    share_permille: 1_000,
                    from: crate::Quarter(hook.from),
                });
            }
        }
        thefts
    }

    /// The id of a consumer by its place among the feeder's consumers: `C`, six digits of feeder, four of place.
    pub(crate) fn consumer_id(&self, ordinal: usize) -> String {
        format!("C{:06}{ordinal:04}", self.number)
    }

    /// Rows of the `nodes` file: the feeder and its DTs.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeRow> {
        let (lat, lon) = self.fleet.place_of_substation(self.number / 6);
        // Feeders leave their substation in six directions.
        const DIRECTIONS: [(i64, i64); 6] = [(10, 0), (5, 9), (-5, 9), (-10, 0), (-5, -9), (5, -9)];
        let direction = usize::try_from(self.number % 6).unwrap_or_default();
        let (north, east) = DIRECTIONS.get(direction).copied().unwrap_or((10, 0));
        let mut rows = Vec::with_capacity(self.dts.len() + 1);
        let row = |id: &str, kind, parent_id, name| {
            Some(NodeRow {
                node_id: NodeId::parse(id).ok()?,
                kind,
                parent_id,
                name,
                area_class: Some(self.kind.area_class()),
                lat: None,
                lon: None,
                capacity_kva: None,
                allowable_loss_pct: None,
                technical_loss_pct: None,
                valid_from: self.fleet.valid_from(),
                valid_to: None,
            })
        };
        let word = match self.kind {
            FeederKind::Urban => "town",
            FeederKind::Rural => "village",
            FeederKind::Agriculture => "agriculture",
            FeederKind::Industrial => "industrial",
        };
        let name = format!("11 kV {} {word} feeder", town(self.key.part(20)));
        let parent = self.fleet.parent_of_feeder(self.number);
        rows.extend(
            row(&self.id(), NodeKind::Feeder, parent, name).map(|row| NodeRow {
                lat: Some(degrees(lat)),
                lon: Some(degrees(lon)),
                capacity_kva: Some(real(self.capacity_kva)),
                allowable_loss_pct: Some(if self.kind.is_rural() { 15.0 } else { 10.0 }),
                technical_loss_pct: Some(real(self.line_permille) / 10.0),
                ..row
            }),
        );
        for (number, dt) in self.dts.iter().enumerate() {
            let name = format!("{} {} kVA", town(dt.key.part(21)), dt.capacity_kva);
            let parent = NodeId::parse(&self.id()).ok();
            let along = signed(count(number)) + 1;
            let jitter = |part: u64| signed(dt.key.part(part).below(3_000)) - 1_500;
            rows.extend(
                row(&self.dt_id(number), NodeKind::Dt, parent, name).map(|row| NodeRow {
                    lat: Some(degrees(lat + north * 120 * along + jitter(22))),
                    lon: Some(degrees(lon + east * 120 * along + jitter(23))),
                    capacity_kva: Some(real(dt.capacity_kva)),
                    allowable_loss_pct: Some(if self.kind.is_rural() { 8.0 } else { 5.0 }),
                    technical_loss_pct: Some(real(dt.technical_permille) / 10.0),
                    ..row
                }),
            );
        }
        rows
    }

    /// Rows of the `meters` file.
    #[must_use]
    pub fn meter_rows(&self) -> Vec<MeterRow> {
        self.meters
            .iter()
            .filter_map(|meter| {
                let node = match meter.role {
                    MeterRole::Consumer | MeterRole::Generation => None,
                    MeterRole::Dt => meter.dt.map(|dt| self.dt_id(dt)),
                    MeterRole::Feeder | MeterRole::Boundary => Some(self.id()),
                };
                let boundary_to = match meter.role {
                    MeterRole::Boundary => self.tie.as_ref().map(|tie| feeder_id(tie.other)),
                    MeterRole::Consumer | MeterRole::Generation | MeterRole::Dt | MeterRole::Feeder => None,
                };
                Some(MeterRow {
                    meter_id: meter.meter.id().ok()?,
                    role: meter.role,
                    node_id: node.and_then(|id| NodeId::parse(&id).ok()),
                    boundary_to: boundary_to.and_then(|id| NodeId::parse(&id).ok()),
                    interval_minutes: meter.minutes,
                    multiplier: Multiplier::from_thousandths(meter.multiplier * 1_000)
                        .unwrap_or(Multiplier::ONE),
                    valid_from: self.fleet.valid_from(),
                    valid_to: None,
                })
            })
            .collect()
    }

    /// Rows of the `connections` file. A generation meter is a connection of its own, its consumer's id with `G` after it.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionRow> {
        let mut slots = self
            .meters
            .iter()
            .filter(|meter| matches!(meter.role, MeterRole::Consumer | MeterRole::Generation));
        let mut rows = Vec::with_capacity(self.consumer_count());
        let on_dts = self
            .dts
            .iter()
            .enumerate()
            .flat_map(|(number, dt)| dt.consumers.iter().map(move |consumer| (Some(number), consumer)));
        let on_feeder = self.ht.iter().map(|consumer| (None, consumer));
        for (ordinal, (dt, consumer)) in on_dts.chain(on_feeder).enumerate() {
            let node = dt.map_or_else(|| self.id(), |dt| self.dt_id(dt));
            let id = self.consumer_id(ordinal);
            let meter = if consumer.is_metered() { slots.next() } else { None };
            rows.extend(self.connection(&id, &node, consumer, meter));
            if consumer.prosumer == Prosumer::GrossMetering {
                let generation = slots.next();
                rows.extend(self.connection(&format!("{id}G"), &node, consumer, generation));
            }
        }
        rows
    }

    fn connection(
        &self,
        id: &str,
        node: &str,
        consumer: &Consumer,
        meter: Option<&Meter>,
    ) -> Option<ConnectionRow> {
        let unmetered = !consumer.is_metered();
        Some(ConnectionRow {
            consumer_id: ConsumerId::parse(id).ok()?,
            meter_id: meter.and_then(|meter| meter.meter.id().ok()),
            node_id: NodeId::parse(node).ok()?,
            category: consumer.category.as_str().to_owned(),
            supply: consumer.supply,
            phases: consumer.phases,
            sanctioned_load_kw: Some(real(consumer.sanctioned_w) / 1_000.0),
            metering: consumer.metering,
            prosumer: consumer.prosumer,
            assessed_kwh_month: unmetered.then(|| real(consumer.assessed_wh_month / 1_000)),
            valid_from: self.fleet.valid_from(),
            valid_to: None,
        })
    }
}

pub(crate) fn feeder_id(number: u64) -> String {
    format!("F{number:06}")
}

#[cfg(test)]
mod tests;
