//! Frauds that show in what a meter says or in what is billed: a pure function of the fleet's seed, planted by who asks for them.
//!
//! The energies of [`crate::flow`] stay what flowed: a magnet on a meter lets it count less, so that its DT loses more. Bypasses and hooks
//! are part of the flows themselves: [`Feeder::thefts`].

use gridtally_schemas::{
    ConsumerId, IntervalRead, PowerEvent,
    network::{ConnectionRow, MeterRole, Metering, Prosumer, Supply},
};

use crate::{
    calendar::{Quarter, Span},
    feeder::{Feeder, Meter, MeterRef},
    prng::{Key, signed, size},
};

/// Code of a magnet near a meter (IS 15959).
const MAGNET: i32 = 201;

/// A magnet on a meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MagnetTamper {
    /// Whose.
    pub consumer_id: ConsumerId,
    /// The meter.
    pub meter: Meter,
    /// The quarter in which the meter notes it, and from whose end on it counts less.
    pub at: Quarter,
    /// Share of the energy that it counts no longer, per mille; 0: the magnet did nothing (a third of them).
    pub share_permille: i64,
}

/// A bill that leaves out part of what the meter counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShortBill {
    /// Whose.
    pub consumer_id: ConsumerId,
    /// The meter.
    pub meter: Meter,
    /// Share of the energy that is billed, per mille.
    pub billed_permille: i64,
}

impl Feeder {
    /// Magnets on `permille` of the LT consumers' meters without rooftop, at a time in the middle half of `span`.
    #[must_use]
    pub fn magnet_tampers(&self, span: Span, permille: u16) -> Vec<MagnetTamper> {
        let quarters = (span.last.0 - span.first.0).max(4);
        let tamper = |(row, meter, key): (ConnectionRow, Meter, Key)| {
            let place = signed(key.part(1).below(u64::try_from(quarters / 2).unwrap_or(1)));
            let share = signed(key.part(2).between(500, 950));
            MagnetTamper {
                consumer_id: row.consumer_id,
                meter,
                at: span.first.plus(quarters / 4 + place),
                share_permille: if key.part(3).chance_permille(333) {
                    0
                } else {
                    share
                },
            }
        };
        self.drawn(62, permille).map(tamper).collect()
    }

    /// Short bills of `permille` of the postpaid LT consumers without rooftop.
    #[must_use]
    pub fn short_bills(&self, permille: u16) -> Vec<ShortBill> {
        let bill = |(row, meter, key): (ConnectionRow, Meter, Key)| {
            (row.metering == Metering::Postpaid).then(|| ShortBill {
                consumer_id: row.consumer_id,
                meter,
                billed_permille: signed(key.part(1).between(200, 700)),
            })
        };
        self.drawn(63, permille).filter_map(bill).collect()
    }

    /// Draws among the LT consumers with a meter and no rooftop.
    fn drawn(&self, part: u64, permille: u16) -> impl Iterator<Item = (ConnectionRow, Meter, Key)> {
        let drawn = move |row: ConnectionRow| {
            let slot = MeterRef::parse(row.meter_id.as_ref()?.as_str())?.slot;
            let meter = *self.meters().get(size(u64::from(slot)))?;
            let key = meter.key.part(part);
            let is_possible = meter.role == MeterRole::Consumer
                && row.supply == Supply::Lt
                && row.prosumer == Prosumer::None;
            (is_possible && key.chance_permille(permille)).then_some((row, meter, key))
        };
        self.connections().into_iter().filter_map(drawn)
    }
}

impl MagnetTamper {
    /// What the meter notes of it.
    #[must_use]
    pub fn event(&self) -> PowerEvent {
        PowerEvent {
            at: self.at.end(),
            code: MAGNET,
            sequence: Some(self.at.0 * 2),
        }
    }

    /// What the meter says of an interval instead of `read`.
    #[must_use]
    pub fn alter(&self, read: IntervalRead) -> IntervalRead {
        let begin = Quarter::containing(read.interval_end).plus(-i64::from(self.meter.minutes.quarters()));
        let counted = |energy: i64| {
            if begin < self.at {
                energy
            } else {
                energy * (1_000 - self.share_permille) / 1_000
            }
        };
        IntervalRead {
            import_wh: read.import_wh.map(counted),
            import_vah: read.import_vah.map(counted),
            ..read
        }
    }
}

#[cfg(test)]
mod tests;
