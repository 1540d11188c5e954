//! Voltages: what a phase of the low-tension line has, so that meters of one DT move together and those of another do not
//! (DOMAIN section 9):
//!
//! ```text
//! V at a meter = no load (243 V) + slow wander of the substation - drop of the 11 kV line to the DT by the feeder's load
//!              - drop in the DT and along the line to the meter by its phase's load - drop of its own service line +- 0.2 V
//! ```
//!
//! Drops are in proportion to load, the usual approximation dV = (R P + X Q) / V at a steady power factor; 8 V in a DT at rated load are
//! 3.3 % (near what the 4.5 % impedance of an 11 kV DT gives at power factor 0.95), 12 V to the end of a line are 5 %: house choices.

use gridtally_schemas::network::Prosumer;

use super::{Count, Flow};
use crate::{
    calendar::Moment,
    feeder::{Consumer, Dt, Feeder},
    prng::{count, signed, size},
};

/// Voltage of a DT's phase without load, tenths of a volt.
const NO_LOAD_DECIVOLTS: i64 = 2_430;
/// Drop in a DT at its rated load, tenths of a volt.
const DT_DROP_DECIVOLTS: i64 = 80;
/// Drop from a DT to the end of its line at the DT's rated load, tenths of a volt.
const LINE_DROP_DECIVOLTS: i64 = 120;
/// Drop along the 11 kV line to its last DT at the feeder's rated load, seen on low tension, tenths of a volt.
const FEEDER_DROP_DECIVOLTS: i64 = 40;

impl Feeder {
    /// What the substation and the 11 kV line do to the voltage of everything on low tension.
    pub(super) fn add_upstream_voltage(&self, moment: &Moment, flow: &mut Flow) {
        let substation = self.fleet.key().part(7).part(self.number() / 6);
        let at_hour = |hour: i64| signed(substation.at(hour).below(41)) - 20;
        let (hour, quarter) = (moment.quarter.0.div_euclid(4), moment.quarter.0.rem_euclid(4));
        let wander = (at_hour(hour) * (4 - quarter) + at_hour(hour + 1) * quarter) / 4;
        let load_permille = (flow.feeder.import_wh * 4 / self.capacity_kva.max(1)).min(1_500);
        let dts = signed(count(self.dts.len())).max(1);
        for (meter, of_meter) in self.meters().iter().zip(&mut flow.counts) {
            let Some(dt) = meter.dt.filter(|_| of_meter.decivolts > 0) else {
                continue;
            };
            let place = signed(count(dt)) + 1;
            of_meter.decivolts += wander - load_permille * FEEDER_DROP_DECIVOLTS * place / dts / 1_000;
        }
    }
}

/// Energy of a quarter as a share of a DT's rating at power factor 0.9, per mille.
pub(super) fn of_rating(wh: i64, dt: &Dt) -> i64 {
    wh * 4 * 10 / (dt.capacity_kva * 9).max(1)
}

/// Net load of the three phases of a DT in a quarter, Wh.
#[derive(Debug, Default)]
pub(super) struct Phases([i64; 3]);

impl Phases {
    /// Adds what a consumer draws.
    pub(super) fn add(&mut self, consumer: &Consumer, wh: i64) {
        match phase_of(consumer).and_then(|phase| self.0.get_mut(phase)) {
            Some(phase) => *phase += wh,
            None => self.0.iter_mut().for_each(|phase| *phase += wh / 3),
        }
    }

    /// Load of each phase as a share of its third of the rating, per mille; bounded, for fuses are.
    pub(super) fn levels(&self, dt: &Dt) -> Levels {
        Levels(self.0.map(|wh| of_rating(3 * wh, dt).clamp(-500, 1_500)))
    }
}

/// Load of each phase as a share of its third of the rating, per mille.
#[derive(Debug)]
pub(super) struct Levels([i64; 3]);

impl Levels {
    fn mean(&self) -> i64 {
        self.0.iter().sum::<i64>() / 3
    }

    /// Voltage at the DT, the mean of its phases.
    pub(super) fn at_dt_decivolts(&self) -> i64 {
        NO_LOAD_DECIVOLTS - self.mean() * DT_DROP_DECIVOLTS / 1_000
    }

    /// Voltages of a DT's consumers along its line: the farther from the DT, the lower under load.
    pub(super) fn set_voltages(&self, counts: &mut [Count], dt: &Dt, moment: &Moment) {
        let length = signed(count(counts.len())).max(1);
        let meters = dt.consumers.iter().flat_map(|consumer| {
            let meters = usize::from(consumer.is_metered())
                + usize::from(consumer.prosumer == Prosumer::GrossMetering);
            std::iter::repeat_n(consumer, meters)
        });
        for ((place, of_meter), consumer) in (0..).zip(counts).zip(meters) {
            let level = phase_of(consumer).and_then(|phase| self.0.get(phase).copied());
            let level = level.unwrap_or_else(|| self.mean());
            let drop =
                level * DT_DROP_DECIVOLTS / 1_000 + level * LINE_DROP_DECIVOLTS * place / length / 1_000;
            let noise = signed(consumer.key.part(43).at(moment.quarter.0).below(5)) - 2;
            of_meter.decivolts = NO_LOAD_DECIVOLTS - drop - (of_meter.import_wh / 64).min(20) + noise;
        }
    }
}

/// The phase of a single-phase connection; `None`: it is on all three.
fn phase_of(consumer: &Consumer) -> Option<usize> {
    (consumer.phases == 1).then(|| size(consumer.key.part(42).below(3)))
}
