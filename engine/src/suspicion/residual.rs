//! What a DT's residual says by itself: energy unaccounted for, a negative residual, a residual that stays at night.
//!
//! - **unaccounted**: loss beyond the technical loss of the DT's lines (master data, else `technical_permille`) of what came in. Its strength
//!   is the confidence in it: coverage, times the part of it that is left when the missing meters drew all that they could (`loss_bound_wh`)
//!   and the unmetered connections their whole sanctioned load;
//! - **negative**: below -3 % even when missing generators gave all that they could;
//! - **night**: from 0 to [`NIGHT_END`] half hours after midnight little is drawn, so what a line hook takes is a large share. What follows a
//!   consumer ([`super::follows`]) is taken off first, and what the unmetered connections there can draw at all: a street lamp is no thief.
//!   It is attributed to nobody.

use super::{
    DtMonth, Finding, HALF_HOURS_OF_DAY, Limits, MeterMonth, Period, Sign, Subject, follows::Followed,
    kilowatt_hours, part_of, percent, permille,
};

/// Half hours after midnight that are night: until 4 h.
pub const NIGHT_END: usize = 8;
/// Fewest half hours of a night that must be known.
const NIGHT_HALF_HOURS_MIN: usize = 6;
/// Fewest nights.
const NIGHTS_MIN: usize = 7;

/// Sums over the half hours that are known.
#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    half_hours: usize,
    injected: i64,
    loss: i64,
    below: i64,
    above: i64,
}

/// One night.
#[derive(Debug, Default, Clone, Copy)]
struct Night {
    half_hours: usize,
    injected: i64,
    unexplained: i64,
}

/// The signs of a DT.
pub(super) fn find(
    dt: &DtMonth,
    meters: &[&MeterMonth],
    followed: &[Followed<'_>],
    (period, limits): (Period, &Limits),
) -> Vec<Finding> {
    let sums = sums(dt);
    if sums.half_hours < limits.half_hours_min || sums.injected <= 0 {
        return Vec::new();
    }
    let grounds = Grounds {
        dt,
        sums,
        technical: dt.technical_permille.unwrap_or(limits.technical_permille),
        period,
        limits,
    };
    let unaccounted = grounds.unaccounted(followed);
    let negative = grounds.negative();
    let night = grounds.night(meters.len(), followed);
    [unaccounted, negative, night].into_iter().flatten().collect()
}

fn sums(dt: &DtMonth) -> Sums {
    let mut sums = Sums::default();
    for half_hour in &dt.half_hours {
        if let Some((injected, loss)) = half_hour.known() {
            sums.half_hours += 1;
            sums.injected += injected;
            sums.loss += loss;
            sums.below += half_hour.bound_below_wh;
            sums.above += half_hour.bound_above_wh;
        }
    }
    sums
}

struct Grounds<'a> {
    dt: &'a DtMonth,
    sums: Sums,
    technical: i64,
    period: Period,
    limits: &'a Limits,
}

impl Grounds<'_> {
    fn finding(
        &self,
        sign: Sign,
        (value, threshold): (i64, i64),
        energy_wh: i64,
        evidence: String,
    ) -> Finding {
        Finding {
            sign,
            subject: Subject::Dt,
            value_permille: value,
            threshold_permille: Some(threshold),
            strength_permille: sign.strength(value, threshold),
            energy_wh: Some(energy_wh),
            bound_wh: self.sums.below,
            coverage_permille: self.dt.coverage_permille(),
            period: self.period,
            evidence,
        }
    }

    fn technical_source(&self) -> &'static str {
        match self.dt.technical_permille {
            Some(_) => "by master data",
            None => "assumed, for master data says none",
        }
    }

    /// What unmetered connections draw beyond their assessment at most.
    fn unmetered_at_most(&self) -> i64 {
        let half_hours = i64::try_from(self.sums.half_hours).unwrap_or(i64::MAX);
        (self.dt.unmetered_w / 2).saturating_mul(half_hours)
    }

    fn unaccounted(&self, followed: &[Followed<'_>]) -> Option<Finding> {
        let Sums {
            injected,
            loss,
            below,
            ..
        } = self.sums;
        let energy = loss - part_of(injected, self.technical);
        let (value, threshold) = (
            permille(loss, injected),
            self.technical + self.limits.unaccounted_min_permille,
        );
        if value <= threshold || energy <= 0 {
            return None;
        }
        let below = below.saturating_add(self.unmetered_at_most());
        let certain = permille((energy - below).max(0), energy);
        let mut evidence = format!(
            "lost {} of {} ({}), {} of it beyond a technical loss of {} ({}); coverage {}, missing meters and unmetered connections could explain {}",
            kilowatt_hours(loss),
            kilowatt_hours(injected),
            percent(value),
            kilowatt_hours(energy),
            percent(self.technical),
            self.technical_source(),
            percent(self.dt.coverage_permille()),
            kilowatt_hours(below),
        );
        for of_consumer in followed {
            evidence.push_str("; part of it follows consumer ");
            evidence.push_str(of_consumer.consumer_id());
        }
        let confidence = part_of(self.dt.coverage_permille(), certain);
        Some(Finding {
            strength_permille: confidence,
            bound_wh: below,
            ..self.finding(Sign::UnaccountedEnergy, (value, threshold), energy, evidence)
        })
    }

    fn negative(&self) -> Option<Finding> {
        let Sums {
            injected,
            loss,
            above,
            ..
        } = self.sums;
        let threshold = self.limits.negative_max_permille;
        let at_most = permille(loss.saturating_add(above), injected);
        if at_most >= threshold {
            return None;
        }
        let value = permille(loss, injected);
        let evidence = format!(
            "delivered {} more than the {} that came in ({}, less than {}): a wrong mapping, a wrong multiplying factor or a missing meter",
            kilowatt_hours(loss.saturating_neg()),
            kilowatt_hours(injected),
            percent(value),
            percent(threshold),
        );
        Some(self.finding(Sign::NegativeResidual, (value, threshold), loss, evidence))
    }

    fn night(&self, meters: usize, followed: &[Followed<'_>]) -> Option<Finding> {
        let nights = self.nights(followed);
        if nights.len() < NIGHTS_MIN || meters == 0 {
            return None;
        }
        let threshold = self.limits.night_min_permille;
        let [injected, unexplained] = [
            nights.iter().map(|night| night.injected).sum::<i64>(),
            nights.iter().map(|night| night.unexplained).sum::<i64>(),
        ];
        let value = permille(unexplained, injected);
        let holds = |night: &&Night| permille(night.unexplained, night.injected) >= threshold / 2;
        let [count, holding] = [nights.len(), nights.iter().filter(holds).count()];
        let [count, holding] = [count, holding].map(|nights| i64::try_from(nights).unwrap_or(i64::MAX));
        let is_most = permille(holding, count) >= self.limits.nights_min_permille;
        if value < threshold || !is_most {
            return None;
        }
        let evidence = format!(
            "from 0 to 4 h {} of {} ({}) is neither technical loss ({} {}) nor follows a consumer nor can be drawn by unmetered connections; more than {} on {holding} of {count} nights: a hook on the line, or a load that nobody recorded",
            kilowatt_hours(unexplained),
            kilowatt_hours(injected),
            percent(value),
            percent(self.technical),
            self.technical_source(),
            percent(threshold / 2),
        );
        Some(self.finding(Sign::NightResidual, (value, threshold), unexplained, evidence))
    }

    /// Nights that are known well enough, in order.
    fn nights(&self, followed: &[Followed<'_>]) -> Vec<Night> {
        let unmetered_wh = self.dt.unmetered_w / 2;
        let of_day = |(day, half_hours): (usize, &[super::HalfHour])| {
            let mut night = Night::default();
            for (at, half_hour) in half_hours.iter().take(NIGHT_END).enumerate() {
                let Some((injected, loss)) = half_hour.known() else {
                    continue;
                };
                let at = day * HALF_HOURS_OF_DAY + at;
                let follows: i64 = followed.iter().map(|followed| followed.missed_wh(at)).sum();
                night.half_hours += 1;
                night.injected += injected;
                night.unexplained += loss - part_of(injected, self.technical) - follows - unmetered_wh;
            }
            (night.half_hours >= NIGHT_HALF_HOURS_MIN && night.injected > 0).then_some(night)
        };
        let days = self.dt.half_hours.chunks(HALF_HOURS_OF_DAY).enumerate();
        days.filter_map(of_day).collect()
    }
}
