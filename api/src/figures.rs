//! A loss with what it takes to trust it (BAL-2), the same at every level and over every span.

use gridtally_engine::{balance::ratio, world::Sums};
use serde::Serialize;
use utoipa::ToSchema;

/// Below this a loss is normal, per cent (house choice, DOMAIN section 2).
const WATCH_PCT: f64 = 6.0;
/// Above this a loss is investigated, per cent (FRAMES and UP).
const INVESTIGATE_PCT: f64 = 15.0;
/// Beyond this a negative loss means a wrong mapping, a wrong multiplier or a missing meter, per cent.
const NEGATIVE_PCT: f64 = -3.0;

/// What a loss asks of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Attention {
    /// Below 6 %.
    Normal,
    /// 6 to 15 %.
    Watch,
    /// Above 15 %.
    Investigate,
    /// Below -3 %: wrong mapping, wrong multiplier or a missing meter, not a gain.
    Negative,
    /// The loss is not shown.
    #[default]
    Unknown,
}

impl Attention {
    fn of(loss_pct: Option<f64>) -> Self {
        match loss_pct {
            None => Self::Unknown,
            Some(loss) if loss < NEGATIVE_PCT => Self::Negative,
            Some(loss) if loss < WATCH_PCT => Self::Normal,
            Some(loss) if loss <= INVESTIGATE_PCT => Self::Watch,
            Some(_) => Self::Investigate,
        }
    }
}

/// Energy balance of a node over a span. Energies in Wh.
#[derive(Debug, Clone, PartialEq, Default, Serialize, ToSchema)]
pub(crate) struct Figures {
    /// Net energy in from above and across boundaries, where it is known. Null: it is known nowhere.
    pub(crate) input_wh: Option<i64>,
    /// Input and consumers' export, where the input is known. Null: it is known nowhere.
    pub(crate) injected_wh: Option<i64>,
    /// Consumers' import and unmetered consumption (of a DT also reverse flow). Null: there is no balance.
    pub(crate) delivered_wh: Option<i64>,
    /// Injected less delivered. Null: not shown, see `not_shown_because`.
    pub(crate) loss_wh: Option<i64>,
    /// Loss of what was injected, per cent. Null: as `loss_wh`.
    pub(crate) loss_pct: Option<f64>,
    /// The most that consumers whose meters did not report could have drawn: the true loss lies at most this much below.
    pub(crate) loss_bound_wh: i64,
    /// The most that prosumers and generators whose meters did not report could have given: the true loss lies at most this much above.
    pub(crate) loss_bound_above_wh: i64,
    /// Lower end of the band in which the true loss lies, per cent of what was injected. Null: nothing is known.
    pub(crate) loss_low_pct: Option<f64>,
    /// Upper end of that band, per cent of what was injected. Null: nothing is known.
    pub(crate) loss_high_pct: Option<f64>,
    /// Balances (of feeders; of a DT its own) that should have a loss.
    pub(crate) balances_expected: i64,
    /// Of these, those that have one: the meter at their head reported.
    pub(crate) balances_computed: i64,
    /// Meters expected; over time meter-intervals.
    pub(crate) meters_expected: i64,
    /// Of these, with an actual or edited value.
    pub(crate) meters_reported: i64,
    /// Of these, with an estimate.
    pub(crate) meters_estimated: i64,
    /// Reported of expected, per cent. Null: nothing was expected.
    pub(crate) coverage_pct: Option<f64>,
    /// Whether the loss is shown as a plain number.
    pub(crate) loss_shown: bool,
    /// Why it is not. Null: it is.
    pub(crate) not_shown_because: Option<String>,
    /// What it asks of people.
    pub(crate) attention: Attention,
}

/// Columns of [`Figures`].
pub(crate) const COLUMNS: [crate::form::Column; 18] = {
    use crate::form::{Column, Holds::*};
    [
        Column("input_wh", Whole),
        Column("injected_wh", Whole),
        Column("delivered_wh", Whole),
        Column("loss_wh", Whole),
        Column("loss_pct", Number),
        Column("loss_bound_wh", Whole),
        Column("loss_bound_above_wh", Whole),
        Column("loss_low_pct", Number),
        Column("loss_high_pct", Number),
        Column("balances_expected", Whole),
        Column("balances_computed", Whole),
        Column("meters_expected", Whole),
        Column("meters_reported", Whole),
        Column("meters_estimated", Whole),
        Column("coverage_pct", Number),
        Column("loss_shown", Truth),
        Column("not_shown_because", Text),
        Column("attention", Text),
    ]
};

impl Figures {
    /// Of a span without any balance.
    pub(crate) fn none(why: &str) -> Self {
        Self {
            not_shown_because: Some(why.to_owned()),
            ..Self::default()
        }
    }

    /// Of sums; the loss is shown when every balance in them has one and coverage reaches `threshold_pct`.
    pub(crate) fn of_sums(sums: &Sums, threshold_pct: f64) -> Self {
        let coverage_pct = (sums.coverage.expected > 0).then(|| sums.coverage.percent());
        let shown = sums.is_covered(threshold_pct) && sums.intervals_computed > 0;
        let known = |wh: i64| (sums.intervals_computed > 0).then_some(wh);
        let whole = sums.injected_where_known_wh;
        let share = |wh: i64| (whole > 0).then(|| rounded(100.0 * ratio(wh, whole)));
        let loss_pct = sums.loss_pct().filter(|_| shown).map(rounded);
        Self {
            input_wh: known(sums.input_wh),
            injected_wh: known(sums.injected_where_known_wh),
            delivered_wh: Some(sums.delivered_wh),
            loss_wh: shown.then_some(sums.total_loss_wh),
            loss_pct,
            loss_bound_wh: sums.loss_bound_wh,
            loss_bound_above_wh: sums.loss_bound_above_wh,
            loss_low_pct: share(sums.total_loss_wh.saturating_sub(sums.loss_bound_wh)),
            loss_high_pct: share(sums.total_loss_wh.saturating_add(sums.loss_bound_above_wh)),
            balances_expected: sums.intervals_expected,
            balances_computed: sums.intervals_computed,
            meters_expected: sums.coverage.expected,
            meters_reported: sums.coverage.reported,
            meters_estimated: sums.coverage.estimated,
            coverage_pct: coverage_pct.map(rounded),
            loss_shown: shown,
            not_shown_because: (!shown).then(|| why_not_shown(sums, threshold_pct)),
            attention: Attention::of(loss_pct),
        }
    }
}

fn why_not_shown(sums: &Sums, threshold_pct: f64) -> String {
    if sums.intervals_expected == 0 {
        return crate::look::NO_BALANCE.to_owned();
    }
    let lacking = sums.intervals_expected - sums.intervals_computed;
    if lacking > 0 && sums.intervals_expected == 1 {
        return "the meter at its head did not report".to_owned();
    }
    if lacking > 0 {
        return format!(
            "a meter at the head did not report in {lacking} of {} balances",
            sums.intervals_expected
        );
    }
    format!(
        "coverage of {:.1} % is below {threshold_pct} %",
        sums.coverage.percent()
    )
}

/// To thousandths: what a percentage is shown with at most.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests;
