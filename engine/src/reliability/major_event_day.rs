//! Major event days by the 2.5-beta method (IEEE 1366, annex B as the method is known; DOMAIN section 5).

use std::collections::{BTreeMap, BTreeSet};

use gridtally_schemas::Day;

use super::{Tally, ratio};

/// The threshold above which a day is a major event day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Mean of the natural logarithms of daily SAIDI in minutes.
    pub alpha: f64,
    /// Their sample deviation.
    pub beta: f64,
    /// T_MED = exp(alpha + 2.5 beta), minutes.
    pub t_med_minutes: f64,
}

impl Threshold {
    /// The threshold by daily SAIDI, minutes, of up to five years; days of zero are dropped. `None` where fewer than two days remain:
    /// one has no deviation.
    #[must_use]
    pub fn of(daily_saidi_minutes: impl IntoIterator<Item = f64>) -> Option<Self> {
        let logs: Vec<f64> = daily_saidi_minutes
            .into_iter()
            .filter(|saidi| *saidi > 0.0 && saidi.is_finite())
            .map(f64::ln)
            .collect();
        let count = u32::try_from(logs.len()).ok().filter(|count| *count >= 2)?;
        let alpha = logs.iter().sum::<f64>() / f64::from(count);
        let squares: f64 = logs.iter().map(|log| (log - alpha).powi(2)).sum();
        let beta = (squares / f64::from(count - 1)).sqrt();
        Some(Self {
            alpha,
            beta,
            t_med_minutes: (alpha + 2.5 * beta).exp(),
        })
    }
}

/// Which days of a year are major event days, by the five years before it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MajorEventDays {
    /// The threshold; `None`: too little is known, and no day is one.
    pub threshold: Option<Threshold>,
    /// The days.
    pub days: BTreeSet<Day>,
}

impl MajorEventDays {
    /// Judges the days of `year` by the days `before` it: both hold the tally of the whole reporting area by the day in which
    /// interruptions began, with the consumers served that day. Days that nobody was served are passed over.
    #[must_use]
    pub fn judge(before: &BTreeMap<Day, Tally>, year: &BTreeMap<Day, Tally>) -> Self {
        let threshold = Threshold::of(before.values().filter_map(saidi_minutes));
        let Some(limit) = threshold else {
            return Self::default();
        };
        let above = year
            .iter()
            .filter(|(_, tally)| saidi_minutes(tally).is_some_and(|saidi| saidi > limit.t_med_minutes));
        Self {
            threshold,
            days: above.map(|(day, _)| *day).collect(),
        }
    }
}

fn saidi_minutes(tally: &Tally) -> Option<f64> {
    let served = i128::from(tally.consumers_served);
    (served > 0).then(|| ratio(tally.customer_micros, super::MINUTE_MICROS * served))
}
