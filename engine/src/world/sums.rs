//! Sums of balances over feeders or over time: exact, and the same in whatever order they were added.

use crate::balance::{Coverage, DtFigures, FeederFigures, ratio};

/// What adds up. Energies in Wh.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sums {
    /// Net input, where it is known.
    pub input_wh: i64,
    /// Input and consumers' export.
    pub injected_wh: i64,
    /// Consumers' import and unmetered consumption (and reverse flow of a DT).
    pub delivered_wh: i64,
    /// 11 kV loss, where it is known.
    pub ht_loss_wh: i64,
    /// Low-voltage loss, where it is known.
    pub lt_loss_wh: i64,
    /// Total loss, where it is known.
    pub total_loss_wh: i64,
    /// `injected_wh` of the balances whose total loss is known: what `loss_pct` divides by.
    pub injected_where_known_wh: i64,
    /// The most that absent consumers could have drawn: the true loss is at most this much below.
    pub loss_bound_wh: i64,
    /// The most that absent prosumers and generators could have given: the true loss is at most this much above.
    pub loss_bound_above_wh: i64,
    /// Balances (feeder-intervals or DT-intervals) that should have a loss.
    pub intervals_expected: i64,
    /// Of these, those that have one.
    pub intervals_computed: i64,
    /// Meter-intervals.
    pub coverage: Coverage,
}

impl Sums {
    /// Of one DT in one interval.
    #[must_use]
    pub fn of_dt(figures: &DtFigures) -> Self {
        let known = figures.loss_wh.is_some();
        let loss = figures.loss_wh.unwrap_or(0);
        let export = figures.dt_export_wh.unwrap_or(0);
        let injected = figures.dt_import_wh.unwrap_or(0) + figures.consumer_export_wh;
        Self {
            input_wh: figures.dt_import_wh.unwrap_or(0) - export,
            injected_wh: injected,
            delivered_wh: export + figures.consumer_import_wh + figures.unmetered_wh,
            ht_loss_wh: 0,
            lt_loss_wh: loss,
            total_loss_wh: loss,
            injected_where_known_wh: if known { injected } else { 0 },
            loss_bound_wh: figures.loss_bound_wh,
            loss_bound_above_wh: figures.loss_bound_above_wh,
            intervals_expected: 1,
            intervals_computed: i64::from(known),
            coverage: figures.coverage,
        }
    }

    /// Of one feeder in one interval.
    #[must_use]
    pub fn of_feeder(figures: &FeederFigures) -> Self {
        let known = figures.total_loss_wh.is_some();
        let injected = figures.input_wh.unwrap_or(0) + figures.consumer_export_wh;
        Self {
            input_wh: figures.input_wh.unwrap_or(0),
            injected_wh: injected,
            delivered_wh: figures.consumer_import_wh + figures.unmetered_wh,
            ht_loss_wh: figures.ht_loss_wh.unwrap_or(0),
            lt_loss_wh: figures.lt_loss_wh,
            total_loss_wh: figures.total_loss_wh.unwrap_or(0),
            injected_where_known_wh: if known { injected } else { 0 },
            loss_bound_wh: figures.loss_bound_wh,
            loss_bound_above_wh: figures.loss_bound_above_wh,
            intervals_expected: 1,
            intervals_computed: i64::from(known),
            coverage: figures.coverage,
        }
    }

    /// Adds `other`.
    pub fn plus(&mut self, other: &Self) {
        self.add(other, 1);
    }

    /// Takes `other` away again.
    pub fn minus(&mut self, other: &Self) {
        self.add(other, -1);
    }

    fn add(&mut self, other: &Self, sign: i64) {
        self.input_wh += sign * other.input_wh;
        self.injected_wh += sign * other.injected_wh;
        self.delivered_wh += sign * other.delivered_wh;
        self.ht_loss_wh += sign * other.ht_loss_wh;
        self.lt_loss_wh += sign * other.lt_loss_wh;
        self.total_loss_wh += sign * other.total_loss_wh;
        self.injected_where_known_wh += sign * other.injected_where_known_wh;
        self.loss_bound_wh += sign * other.loss_bound_wh;
        self.loss_bound_above_wh += sign * other.loss_bound_above_wh;
        self.intervals_expected += sign * other.intervals_expected;
        self.intervals_computed += sign * other.intervals_computed;
        self.coverage.expected += sign * other.coverage.expected;
        self.coverage.reported += sign * other.coverage.reported;
        self.coverage.estimated += sign * other.coverage.estimated;
    }

    /// Whether every balance in it has a loss and enough meters reported: only then is the loss shown as a plain number (BAL-2).
    #[must_use]
    pub fn is_covered(&self, threshold_pct: f64) -> bool {
        self.intervals_expected == self.intervals_computed && self.coverage.percent() >= threshold_pct
    }

    /// Total loss of what came in where both are known, per cent; `None` when nothing came in.
    #[must_use]
    pub fn loss_pct(&self) -> Option<f64> {
        (self.injected_where_known_wh > 0)
            .then(|| 100.0 * ratio(self.total_loss_wh, self.injected_where_known_wh))
    }
}
