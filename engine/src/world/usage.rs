//! What a consumer used: every interval in which a meter of its connections owed a read, with the value that stands.
//!
//! An interval counts where the connection and the meter were in force when it began, by the picture of the network as it is now; where it has
//! no value, on days on which the consumer's feeder has a balance, as silence counts there. Energy is
//! the meter's count times the factor that was in force then, rounded half up to whole Wh a read, as in the balances (`dt_balance.sql`).
//!
//! Of days that are out of memory the intervals are told without their values: those stand in `interval_reads`, whole, for only what a
//! checkpoint holds is let go.

use std::{collections::BTreeMap, ops::RangeInclusive};

use gridtally_schemas::{ConsumerId, Day, MeterId, UtcMicros, network::MeterRole, quantity::Multiplier};

use super::World;
use crate::{
    network::{Connection, ConnectionRowOf, MeterIx},
    revenue::Amounts,
    state::{Quality, Quarter},
};

/// The value of an interval, as the meter counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    /// Where it comes from.
    pub quality: Quality,
    /// Import, Wh.
    pub import_wh: i64,
    /// Export, Wh; `None`: not said.
    pub export_wh: Option<i64>,
    /// Volts; `None`: not said.
    pub voltage_v: Option<f32>,
}

/// An interval in which a meter of a consumer owed a read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UsedInterval {
    /// Its last quarter.
    pub quarter: Quarter,
    /// Length, minutes.
    pub minutes: i64,
    /// What turns the meter's count into energy.
    pub multiplier: Multiplier,
    /// The value that stands; `None`: there is none, or the day is out of memory.
    pub said: Option<Said>,
    /// Whether the day is out of memory: the value is in the tables alone.
    pub is_out: bool,
}

/// What a consumer used in some days.
#[derive(Debug, Default)]
pub struct Usage {
    /// Intervals of each of its meters, by meter and time.
    pub meters: BTreeMap<MeterId, Vec<UsedInterval>>,
    /// Its bills of the months that the days touch, by first day of the month.
    pub bills: Vec<(Day, Amounts)>,
}

/// Energy of a count, Wh.
#[must_use]
pub fn energy_wh(counted_wh: i64, multiplier: Multiplier) -> i64 {
    counted_wh
        .saturating_mul(multiplier.thousandths())
        .saturating_add(500)
        .div_euclid(1_000)
}

impl World {
    /// What a consumer used in `days`, as far as intervals are closed or have a value; `None`: it never had a connection.
    #[must_use]
    pub fn usage(&self, consumer: &ConsumerId, days: RangeInclusive<Day>) -> Option<Usage> {
        let connections = self.connections_of(consumer);
        if connections.is_empty() {
            return None;
        }
        let mut usage = Usage {
            bills: self
                .bills
                .of(consumer, days.start().first_of_month()..=*days.end()),
            ..Usage::default()
        };
        for connection in connections {
            let Some((meter, id)) = connection
                .meter()
                .and_then(|meter| Some((meter, self.network.meter(meter)?.meter_id()?)))
            else {
                continue;
            };
            let intervals = usage.meters.entry(id).or_default();
            let mut day = *days.start();
            while day <= *days.end() {
                self.use_day(connection, (meter, day), intervals);
                day = day.next();
            }
        }
        Some(usage)
    }

    fn use_day(
        &self,
        connection: Connection<'_>,
        (meter, day): (MeterIx, Day),
        intervals: &mut Vec<UsedInterval>,
    ) {
        let Some(entry) = self.network.meter(meter) else {
            return;
        };
        let is_out = self.is_meter_day_out(meter, day);
        let span = self.quarters_of_day(day);
        for quarter in (span.start().0..=span.end().0).map(Quarter) {
            let begin = quarter.begin();
            let Some(row) = entry.history().at(begin) else {
                continue;
            };
            let (MeterRole::Consumer, Some(served)) = (row.role, connection.history().at(begin)) else {
                continue;
            };
            if quarter.ceil_to(row.interval_minutes.quarters()) != quarter {
                continue;
            }
            let value = self.state.value(meter, quarter);
            let value = value.filter(|value| !is_out && value.quality != Quality::Missing);
            let is_over = || quarter <= self.closed_through && self.has_balance(&served, (begin, day));
            if value.is_none() && !is_over() {
                continue;
            }
            intervals.push(UsedInterval {
                quarter,
                minutes: row.interval_minutes.minutes(),
                multiplier: row.multiplier,
                said: value.map(|value| Said {
                    quality: value.quality,
                    import_wh: value.import_wh.into(),
                    export_wh: value.export_wh.map(i64::from),
                    voltage_v: value.voltage_v,
                }),
                is_out,
            });
        }
    }

    /// Whether the feeder on which a connection hung at an instant has a balance in the day.
    fn has_balance(&self, connection: &ConnectionRowOf<'_>, (at, day): (UtcMicros, Day)) -> bool {
        let feeder = connection.node.and_then(|node| self.feeder_at(node, at));
        feeder.is_some_and(|feeder| self.node_day(feeder, day).is_some())
    }
}
