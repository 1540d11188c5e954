//! The values that a published row says: no figure without its coverage, no loss below the threshold (BAL-2).

use std::hash::{Hash, Hasher};

use crate::{
    balance::{Coverage, DtFigures, FeederFigures, ratio},
    world::Sums,
};

/// The published values of a balance of an interval: figures that may be unknown, and sums, each in the order of the columns.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) struct IntervalValues<const KNOWN: usize, const SUMS: usize> {
    pub(crate) minutes: i64,
    pub(crate) known: [Option<i64>; KNOWN],
    pub(crate) sums: [i64; SUMS],
    pub(crate) coverage: Coverage,
}

impl<const KNOWN: usize, const SUMS: usize> IntervalValues<KNOWN, SUMS> {
    /// Of what is no balance any more.
    pub(in crate::world) fn withdrawn() -> Self {
        Self {
            minutes: 0,
            known: [None; KNOWN],
            sums: [0; SUMS],
            coverage: Coverage::default(),
        }
    }
}

/// The published values of a DT balance: the loss only where it may be shown (BAL-2).
pub(crate) type DtValues = IntervalValues<5, 5>;
/// The published values of a feeder balance.
pub(crate) type FeederValues = IntervalValues<8, 10>;

impl Hash for Coverage {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.expected, self.reported, self.estimated).hash(hasher);
    }
}

impl DtValues {
    pub(crate) fn of(figures: &DtFigures, minutes: i64, threshold_pct: f64) -> Self {
        let loss = figures
            .loss_wh
            .filter(|_| figures.coverage.percent() >= threshold_pct);
        Self {
            minutes,
            known: [
                figures.dt_import_wh,
                figures.dt_export_wh,
                figures.injected_wh,
                figures.delivered_wh,
                loss,
            ],
            sums: [
                figures.consumer_import_wh,
                figures.consumer_export_wh,
                figures.unmetered_wh,
                figures.loss_bound_wh,
                figures.loss_bound_above_wh,
            ],
            coverage: figures.coverage,
        }
    }

    pub(crate) fn loss_pct(&self) -> Option<f64> {
        let [_, _, injected, _, loss] = self.known;
        loss_pct(loss, injected)
    }
}

impl FeederValues {
    pub(crate) fn of(figures: &FeederFigures, minutes: i64, threshold_pct: f64) -> Self {
        let covered = figures.coverage.percent() >= threshold_pct;
        let loss = |loss: Option<i64>| loss.filter(|_| covered);
        Self {
            minutes,
            known: [
                figures.feeder_import_wh,
                figures.feeder_export_wh,
                figures.boundary_in_wh,
                figures.boundary_out_wh,
                figures.input_wh,
                loss(figures.ht_loss_wh),
                loss(Some(figures.lt_loss_wh)),
                loss(figures.total_loss_wh),
            ],
            sums: [
                figures.dt_input_wh,
                figures.ht_import_wh,
                figures.ht_export_wh,
                figures.consumer_import_wh,
                figures.consumer_export_wh,
                figures.unmetered_wh,
                figures.loss_bound_wh,
                figures.loss_bound_above_wh,
                figures.dt_metered,
                figures.dt_total,
            ],
            coverage: figures.coverage,
        }
    }

    pub(crate) fn loss_pct(&self) -> Option<f64> {
        let [_, _, _, _, input, _, _, total] = self.known;
        let [_, _, _, _, export, ..] = self.sums;
        loss_pct(total, input.map(|input| input + export))
    }
}

/// The published values of a roll-up: losses only where they may be shown (BAL-2).
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) struct DayValues {
    /// Input, injected, delivered, loss bounds below and above, injected where known, intervals expected, intervals computed.
    pub(crate) sums: [i64; 8],
    /// HT, LT and total loss.
    pub(crate) losses: [Option<i64>; 3],
    pub(crate) coverage: Coverage,
}

impl DayValues {
    pub(crate) fn of(sums: &Sums, threshold_pct: f64) -> Self {
        let shown = sums.is_covered(threshold_pct);
        Self {
            sums: [
                sums.input_wh,
                sums.injected_wh,
                sums.delivered_wh,
                sums.loss_bound_wh,
                sums.loss_bound_above_wh,
                sums.injected_where_known_wh,
                sums.intervals_expected,
                sums.intervals_computed,
            ],
            losses: [sums.ht_loss_wh, sums.lt_loss_wh, sums.total_loss_wh].map(|loss| shown.then_some(loss)),
            coverage: sums.coverage,
        }
    }

    pub(crate) fn loss_pct(&self) -> Option<f64> {
        let [_, _, _, _, _, injected, ..] = self.sums;
        loss_pct(self.losses.last().copied().flatten(), Some(injected))
    }
}

/// Share of `loss` in `injected`, per cent, where both are known and something came in.
fn loss_pct(loss: Option<i64>, injected: Option<i64>) -> Option<f64> {
    let (loss, injected) = (loss?, injected.filter(|injected| *injected > 0)?);
    Some(100.0 * ratio(loss, injected))
}
