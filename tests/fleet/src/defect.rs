//! Defects planted in meters for validation to find: a pure function of the fleet's seed, so that a test knows what is there.
//!
//! The energies of [`crate::flow`] stay what flowed; a defect changes what a meter says of them, for one civil day.

use std::collections::BTreeMap;

use gridtally_schemas::{
    Day, IntervalMinutes, IntervalRead, MeterId,
    network::{ConnectionRow, MeterRole, Supply},
};

use crate::{
    calendar::{QUARTERS_PER_DAY, Quarter},
    feeder::{Feeder, Meter},
    prng::{Key, count, signed, size},
};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DefectKind {
    /// One interval with ten times what the connection or the DT carries.
    Spike,
    /// The same energy all day.
    Stuck,
    /// No energy all day, though something was drawn.
    LongZero,
    /// Up to twenty intervals that are never sent.
    Gap,
    /// A day that is never sent.
    DeadDay,
    /// The import register passes its last digit in the day.
    Rollover,
    /// The import register begins again in the middle of its range.
    RegisterReset,
    /// The intervals hold the multiplying factor.
    ScaledIntervals,
    /// No apparent energy beside the active one.
    KvahBelowKwh,
    /// An hour at 60 V.
    Voltage,
    /// Every read made twenty minutes before its interval ended, by the meter's clock.
    ClockDrift,
    /// Export from two to three at night.
    NightExport,
    /// A quarter-hour meter that counts in half hours.
    HalfHours,
    /// A DT's meter whose multiplying factor is 1 in master data; it is wrong every day.
    DtMultiplier,
}

impl DefectKind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Spike,
        Self::Stuck,
        Self::LongZero,
        Self::Gap,
        Self::DeadDay,
        Self::Rollover,
        Self::RegisterReset,
        Self::ScaledIntervals,
        Self::KvahBelowKwh,
        Self::Voltage,
        Self::ClockDrift,
        Self::NightExport,
        Self::HalfHours,
        Self::DtMultiplier,
    ];
}

/// A defect of one meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defect {
    /// What is wrong.
    pub kind: DefectKind,
    /// With which meter.
    pub meter: Meter,
    /// On which day.
    pub day: Day,
    /// The first quarter of it.
    pub first: Quarter,
    /// The last quarter of it.
    pub last: Quarter,
    /// What the connection or the DT carries, W on the network.
    capacity_w: i64,
}

impl Feeder {
    /// Defects of the days from `first` on, the first day (which is history for those after it) of registers only: `permille` of the
    /// meters have one.
    #[must_use]
    pub fn defects(&self, first: Day, days: u32, permille: u16) -> Vec<Defect> {
        let rows = self.connections();
        let connections: BTreeMap<&MeterId, &ConnectionRow> = rows
            .iter()
            .filter_map(|row| Some((row.meter_id.as_ref()?, row)))
            .collect();
        let of_meter = |meter: &Meter| {
            let key = meter.key.part(60);
            if !key.chance_permille(permille) {
                return None;
            }
            let connection = meter.meter.id().ok().and_then(|id| connections.get(&id).copied());
            let possible: Vec<DefectKind> = DefectKind::ALL
                .into_iter()
                .filter(|kind| self.can_have(meter, connection, *kind))
                .collect();
            let kind = possible.get(size(key.part(1).below(count(possible.len()))))?;
            Some(self.plant(
                meter,
                (*kind, self.capacity_w(meter, connection)),
                (first, days),
                key,
            ))
        };
        self.meters.iter().filter_map(of_meter).collect()
    }

    fn capacity_w(&self, meter: &Meter, connection: Option<&ConnectionRow>) -> i64 {
        let rated = meter
            .dt
            .and_then(|dt| self.dts.get(dt))
            .map_or(0, |dt| dt.capacity_kva * 1_000);
        let sanctioned = connection.and_then(|row| row.sanctioned_load_kw);
        sanctioned.map_or(rated, |kilowatts| {
            format!("{:.0}", kilowatts * 1_000.0).parse().unwrap_or(rated)
        })
    }

    fn can_have(&self, meter: &Meter, connection: Option<&ConnectionRow>, kind: DefectKind) -> bool {
        let is_consumer = meter.role == MeterRole::Consumer;
        let dt = meter.dt.and_then(|dt| self.dts.get(dt));
        let is_lt = connection.is_some_and(|row| row.supply == Supply::Lt);
        // A pump set's DT has no supply for most of the day.
        let is_fed = dt.is_none_or(|dt| dt.supply_group.is_none());
        match kind {
            DefectKind::Spike => is_consumer || meter.role == MeterRole::Dt,
            DefectKind::Gap | DefectKind::DeadDay | DefectKind::ClockDrift | DefectKind::Rollover => true,
            DefectKind::Stuck | DefectKind::KvahBelowKwh => is_consumer && is_fed,
            DefectKind::RegisterReset => is_consumer,
            DefectKind::LongZero => is_consumer && is_fed && dt.is_some_and(|dt| dt.metered),
            DefectKind::ScaledIntervals => is_consumer && meter.multiplier > 1,
            DefectKind::Voltage => is_consumer && is_lt && is_fed,
            DefectKind::NightExport => is_consumer && meter.sends_export,
            DefectKind::HalfHours => is_consumer && meter.minutes == IntervalMinutes::Fifteen,
            DefectKind::DtMultiplier => meter.role == MeterRole::Dt && meter.multiplier > 1 && is_fed,
        }
    }

    fn plant(
        &self,
        meter: &Meter,
        (kind, capacity_w): (DefectKind, i64),
        (first, days): (Day, u32),
        key: Key,
    ) -> Defect {
        let later =
            i32::try_from(key.part(2).between(1, u64::from(days.saturating_sub(1)).max(1))).unwrap_or(1);
        let day = match kind {
            // Its register must stand where it will roll over from the beginning.
            DefectKind::Rollover => first,
            DefectKind::Spike
            | DefectKind::Stuck
            | DefectKind::LongZero
            | DefectKind::Gap
            | DefectKind::DeadDay
            | DefectKind::RegisterReset
            | DefectKind::ScaledIntervals
            | DefectKind::KvahBelowKwh
            | DefectKind::Voltage
            | DefectKind::ClockDrift
            | DefectKind::NightExport
            | DefectKind::HalfHours
            | DefectKind::DtMultiplier => Day(first.0.saturating_add(later)),
        };
        let midnight = Quarter::containing(self.fleet.config().zone.start_of(day));
        let at = |from: i64, length: i64| {
            (
                midnight.plus(from + 1),
                midnight.plus((from + length).min(QUARTERS_PER_DAY)),
            )
        };
        let whole = i64::from(meter.minutes.quarters());
        let draw = |most: u64| signed(key.part(3).below(most)) * whole;
        let (from, to) = match kind {
            DefectKind::Spike => at(draw(96 / u64::from(meter.minutes.quarters())), whole),
            DefectKind::Gap => at(draw(40), signed(key.part(4).between(1, 20)) * whole),
            DefectKind::Voltage => at(draw(40), 4),
            DefectKind::NightExport => at(8, 4),
            DefectKind::Stuck
            | DefectKind::LongZero
            | DefectKind::DeadDay
            | DefectKind::Rollover
            | DefectKind::RegisterReset
            | DefectKind::ScaledIntervals
            | DefectKind::KvahBelowKwh
            | DefectKind::ClockDrift
            | DefectKind::HalfHours
            | DefectKind::DtMultiplier => at(0, QUARTERS_PER_DAY),
        };
        Defect {
            kind,
            meter: *meter,
            day,
            first: from,
            last: to,
            capacity_w,
        }
    }
}

impl Defect {
    /// What the meter says of an interval instead of `read`; `None`: nothing. `before` is the read before it.
    #[must_use]
    pub fn alter(&self, read: IntervalRead, before: Option<&IntervalRead>) -> Option<IntervalRead> {
        let quarter = Quarter::containing(read.interval_end);
        if quarter < self.first || quarter > self.last {
            return Some(read);
        }
        let import_wh = read.import_wh.unwrap_or_default();
        let counts_of =
            |watts: i64| watts * i64::from(self.meter.minutes.quarters()) / 4 / self.meter.multiplier + 1;
        let with_import = |import_wh: i64| IntervalRead {
            import_wh: Some(import_wh),
            import_vah: Some(import_wh),
            ..read
        };
        Some(match self.kind {
            DefectKind::Spike => with_import(counts_of(self.capacity_w * 10)),
            DefectKind::Stuck => with_import(counts_of(400)),
            DefectKind::LongZero => IntervalRead {
                export_wh: read.export_wh.map(|_| 0),
                ..with_import(0)
            },
            DefectKind::Gap | DefectKind::DeadDay => return None,
            DefectKind::ScaledIntervals => with_import(import_wh * self.meter.multiplier),
            DefectKind::KvahBelowKwh => IntervalRead {
                import_vah: Some(0),
                ..read
            },
            DefectKind::Voltage => IntervalRead {
                voltage_v: Some(60.0),
                ..read
            },
            DefectKind::ClockDrift => IntervalRead {
                captured_at: Some(read.interval_end.plus(-20 * 60 * 1_000_000)),
                ..read
            },
            DefectKind::NightExport => IntervalRead {
                export_wh: Some(counts_of(1_600)),
                ..read
            },
            DefectKind::HalfHours if quarter.ends_interval(IntervalMinutes::Thirty) => {
                let earlier = before.and_then(|read| read.import_wh).unwrap_or_default();
                with_import(import_wh + earlier)
            }
            DefectKind::HalfHours => return None,
            DefectKind::Rollover | DefectKind::RegisterReset | DefectKind::DtMultiplier => read,
        })
    }
}
