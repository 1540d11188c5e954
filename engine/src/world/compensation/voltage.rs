//! Voltages outside the limits of some regulation in force: all that a count of bad days needs, and no more.
//!
//! Kept by meter and quarter for the value that stands, so that it follows corrections and does not depend on the order of arrival. Without
//! a standard for voltage nothing is kept.

use std::collections::BTreeMap;

use gridtally_schemas::{ConsumerId, Day, UtcMicros, network::MeterRole};
use hashbrown::HashMap;

use super::World;
use crate::{
    compensation::{
        evidence::{VoltageDay, VoltageReading},
        regulation::VoltageBand,
    },
    network::{Connection, Meter, MeterIx},
    state::Quarter,
};

/// What is outside.
#[derive(Debug, Default)]
pub(super) struct Voltages {
    bands: Vec<VoltageBand>,
    outside: HashMap<MeterIx, BTreeMap<Quarter, f32>>,
}

impl Voltages {
    /// Watches these limits.
    pub(super) fn new(bands: Vec<VoltageBand>) -> Self {
        Self {
            bands,
            outside: HashMap::new(),
        }
    }

    fn is_outside(&self, volts: f32) -> bool {
        let limit = |band: &VoltageBand, pct: i32| f64::from(band.nominal_v) * f64::from(pct) / 100.0;
        self.bands.iter().any(|band| {
            let (low, high) = (
                limit(band, 100 - band.below_pct),
                limit(band, 100 + band.above_pct),
            );
            f64::from(volts) < low || f64::from(volts) > high
        })
    }

    /// Notes the voltage of the value that stands; true when that changes what is outside.
    fn note(&mut self, meter: MeterIx, quarter: Quarter, volts: Option<f32>) -> bool {
        match volts.filter(|volts| self.is_outside(*volts)) {
            Some(volts) => {
                let of_meter = self.outside.entry(meter).or_default();
                of_meter.insert(quarter, volts) != Some(volts)
            }
            None => {
                let of_meter = self.outside.get_mut(&meter);
                of_meter.is_some_and(|of_meter| of_meter.remove(&quarter).is_some())
            }
        }
    }
}

impl World {
    /// Whether a regulation in force limits voltages.
    pub(in crate::world) fn is_voltage_watched(&self) -> bool {
        !self.compensation.voltages.bands.is_empty()
    }

    /// Notes the voltage of the value that stands for a meter's interval, by its last quarter; `None`: it has none.
    pub(in crate::world) fn note_voltage(&mut self, meter: MeterIx, quarter: Quarter, volts: Option<f32>) {
        if !self.is_voltage_watched() || !self.compensation.voltages.note(meter, quarter, volts) {
            return;
        }
        let connections = self.network.meter(meter).into_iter().flat_map(Meter::connections);
        for consumer in connections.filter_map(Connection::consumer) {
            self.compensation.note(&consumer);
        }
    }

    /// The days on which some voltage of a consumer was outside, with those voltages.
    pub(super) fn voltages_of(&self, consumer: &ConsumerId) -> Vec<VoltageDay> {
        if !self.is_voltage_watched() {
            return Vec::new();
        }
        let mut days: BTreeMap<Day, Vec<VoltageReading>> = BTreeMap::new();
        for connection in self.connections_of(consumer) {
            let of_meter = connection
                .meter()
                .and_then(|meter| Some((meter, self.compensation.voltages.outside.get(&meter)?)));
            let Some((meter, outside)) = of_meter else {
                continue;
            };
            for (quarter, volts) in outside {
                if let Some(reading) = self.voltage_reading(connection, meter, (*quarter, *volts)) {
                    let day = self.settings.zone.day_of_interval(quarter.end());
                    days.entry(day).or_default().push(reading);
                }
            }
        }
        days.into_iter()
            .map(|(day, readings)| VoltageDay {
                connection: self.connection_at(consumer, self.settings.zone.start_of(day)),
                day,
                readings,
            })
            .collect()
    }

    /// A voltage as evidence; `None`: the meter did not serve this connection then, or the value is off the grid of its intervals.
    fn voltage_reading(
        &self,
        connection: Connection<'_>,
        meter: MeterIx,
        (quarter, volts): (Quarter, f32),
    ) -> Option<VoltageReading> {
        let begin: UtcMicros = quarter.begin();
        connection.history().at(begin)?;
        let row = self.network.meter(meter)?.history().at(begin)?;
        let interval = self.network.interval_of(meter, begin)?;
        let is_own = row.role == MeterRole::Consumer && quarter.ceil_to(interval.quarters()) == quarter;
        is_own.then_some(VoltageReading {
            interval_end: quarter.end(),
            interval,
            volts: f64::from(volts),
        })
    }
}
