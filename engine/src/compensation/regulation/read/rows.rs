//! Rows of a standard: limits and amounts.

use std::collections::BTreeSet;

use super::{
    super::{Allowance, Amount, Applies, Kind, Limit, Validity},
    Context,
    value::{
        MINUTES_MAX, Read, fault, money, needed, parsed, request_kind, said, set, time_of_day, validity,
        whole, word,
    },
};
use crate::compensation::{
    calendar::{DAY_MINUTES, Running},
    document::{AmountDocument, LimitDocument, TierDocument},
    rate::{HOUR_MINUTES, Rate, Tier},
};

/// Reads the rows of a standard.
pub(super) struct Rows<'a> {
    /// Key of the standard.
    pub(super) key: &'a str,
    pub(super) kind: &'a Kind,
    /// Its clause, which rows inherit.
    pub(super) clause: &'a str,
    /// Its clock, which limits inherit.
    pub(super) clock: Running,
    pub(super) context: &'a Context<'a>,
}

impl Rows<'_> {
    pub(super) fn limits(&self, raws: &[LimitDocument]) -> Read<Vec<Limit>> {
        if raws.is_empty() {
            return fault(format!("{}.limit", self.key), "there is none");
        }
        let limit =
            |(at, raw): (usize, &LimitDocument)| self.limit(&format!("{}.limit[{}]", self.key, at + 1), raw);
        raws.iter().enumerate().map(limit).collect()
    }

    fn limit(&self, key: &str, raw: &LimitDocument) -> Read<Limit> {
        let allowance = match self.kind {
            Kind::NoSupply(_) | Kind::ScheduledOutage(_) | Kind::Process => self.time(key, raw)?,
            Kind::InterruptionCount { .. } | Kind::VoltageDays { .. } => count(key, raw)?,
        };
        Ok(Limit {
            applies: Applies {
                of: self.of(key, &raw.fault, &raw.request)?,
                areas: set(&format!("{key}.area"), &raw.area)?,
                supplies: set(&format!("{key}.supply"), &raw.supply)?,
                affected: None,
                valid: self.valid(key, raw.valid_from.as_ref(), raw.valid_to.as_ref())?,
            },
            allowance,
            clause: said(
                &format!("{key}.clause"),
                raw.clause.as_deref().unwrap_or(self.clause),
            )?,
        })
    }

    fn time(&self, key: &str, raw: &LimitDocument) -> Read<Allowance> {
        let clock_key = format!("{key}.clock");
        let own = raw
            .clock
            .as_ref()
            .map(|clock| parsed(&clock_key, clock))
            .transpose()?;
        let clock = own.unwrap_or(self.clock);
        let day_minutes = match (clock, self.context.working) {
            (Running::Elapsed, _) => DAY_MINUTES,
            (Running::Working, Some(working)) => working.day_minutes(),
            (Running::Working, None) => return fault(clock_key, "`working` needs [working_hours]"),
        };
        if raw.count.is_some() {
            return fault(
                format!("{key}.count"),
                format!("it has no meaning for `{}`", self.kind.as_str()),
            );
        }
        let minutes = match (raw.minutes, raw.hours, raw.days) {
            (Some(minutes), None, None) => bounded(&format!("{key}.minutes"), minutes, MINUTES_MAX)?,
            (None, Some(hours), None) => {
                bounded(&format!("{key}.hours"), hours, MINUTES_MAX / HOUR_MINUTES)? * HOUR_MINUTES
            }
            (None, None, Some(days)) => {
                bounded(&format!("{key}.days"), days, MINUTES_MAX / DAY_MINUTES)? * day_minutes
            }
            (_, _, _) => return fault(key, "one of minutes, hours and days is needed"),
        };
        let over_by_key = format!("{key}.over_by");
        if raw.over_by.is_some() && self.kind.timed_outages().is_none() {
            return fault(
                over_by_key,
                format!("it has no meaning for `{}`", self.kind.as_str()),
            );
        }
        let over_by = raw
            .over_by
            .as_ref()
            .map(|text| time_of_day(&over_by_key, text))
            .transpose()?;
        Ok(Allowance::Time {
            minutes,
            over_by,
            clock,
        })
    }

    pub(super) fn amounts(&self, raws: &[AmountDocument]) -> Read<Vec<Amount>> {
        if raws.is_empty() {
            return fault(format!("{}.amount", self.key), "there is none");
        }
        let amount = |(at, raw): (usize, &AmountDocument)| {
            self.amount(&format!("{}.amount[{}]", self.key, at + 1), raw)
        };
        raws.iter().enumerate().map(amount).collect()
    }

    fn amount(&self, key: &str, raw: &AmountDocument) -> Read<Amount> {
        let affected_key = format!("{key}.affected");
        let affected = raw
            .affected
            .as_ref()
            .map(|word| parsed(&affected_key, word))
            .transpose()?;
        if affected.is_some() && self.kind.timed_outages().is_none() {
            return fault(
                affected_key,
                format!("it has no meaning for `{}`", self.kind.as_str()),
            );
        }
        let cap_key = format!("{key}.cap_event_inr");
        Ok(Amount {
            applies: Applies {
                of: self.of(key, &raw.fault, &raw.request)?,
                areas: set(&format!("{key}.area"), &raw.area)?,
                supplies: set(&format!("{key}.supply"), &raw.supply)?,
                affected,
                valid: self.valid(key, raw.valid_from.as_ref(), raw.valid_to.as_ref())?,
            },
            rate: self.rate(key, raw)?,
            cap: raw
                .cap_event_inr
                .as_ref()
                .map(|cap| money(&cap_key, cap))
                .transpose()?,
        })
    }

    fn rate(&self, key: &str, raw: &AmountDocument) -> Read<Rate> {
        let shape_key = format!("{key}.shape");
        let shape = raw.shape.as_str();
        let fits: &[&str] = match self.kind {
            Kind::InterruptionCount { .. } => &["per_event", "per_interruption"],
            Kind::VoltageDays { .. } => &["per_event", "per_day"],
            Kind::NoSupply(_) | Kind::ScheduledOutage(_) | Kind::Process => {
                &["per_hour", "per_day", "per_block", "per_event", "tiered_per_hour"]
            }
        };
        if !fits.contains(&shape) {
            let reason = format!("`{shape}` is none of: {}", fits.join(", "));
            return fault(shape_key, reason);
        }
        let (tiered, block) = (shape == "tiered_per_hour", shape == "per_block");
        if raw.tiers.is_empty() == tiered || raw.inr.is_some() == tiered {
            return fault(
                key,
                "`tiered_per_hour` has tiers, every other shape has inr, none has both",
            );
        }
        if raw.block_hours.is_some() != block {
            return fault(
                format!("{key}.block_hours"),
                "it stands with `per_block`, and only there",
            );
        }
        let amount = raw
            .inr
            .as_ref()
            .map(|inr| money(&format!("{key}.inr"), inr))
            .transpose()?;
        let amount = amount.unwrap_or_default();
        Ok(match shape {
            "per_hour" => Rate::PerHour(amount),
            "per_day" => Rate::PerDay(amount),
            "per_event" => Rate::PerEvent(amount),
            "per_interruption" => Rate::PerInterruption(amount),
            "per_block" => Rate::PerBlock {
                hours: needed(
                    &format!("{key}.block_hours"),
                    raw.block_hours,
                    1..=MINUTES_MAX / HOUR_MINUTES,
                )?,
                amount,
            },
            _ => Rate::TieredPerHour(tiers(key, &raw.tiers)?),
        })
    }

    /// Fault types or request kinds, whichever this kind of standard knows.
    fn of(&self, key: &str, faults: &[String], requests: &[String]) -> Read<BTreeSet<String>> {
        let (faults_fit, requests_fit) = match self.kind {
            Kind::NoSupply(_) | Kind::ScheduledOutage(_) => (true, false),
            Kind::Process => (false, true),
            Kind::InterruptionCount { .. } | Kind::VoltageDays { .. } => (false, false),
        };
        for (name, words, fits) in [("fault", faults, faults_fit), ("request", requests, requests_fit)] {
            if !words.is_empty() && !fits {
                let reason = format!("it has no meaning for `{}`", self.kind.as_str());
                return fault(format!("{key}.{name}"), reason);
            }
        }
        let fault_words = faults.iter().map(|name| word(&format!("{key}.fault"), name));
        let request_words = requests
            .iter()
            .map(|name| request_kind(&format!("{key}.request"), name));
        fault_words.chain(request_words).collect()
    }

    fn valid(&self, key: &str, from: Option<&String>, to: Option<&String>) -> Read<Validity> {
        validity(&format!("{key}."), from, to, self.context.valid)
    }
}

fn count(key: &str, raw: &LimitDocument) -> Read<Allowance> {
    let timed = [
        raw.minutes.is_some(),
        raw.hours.is_some(),
        raw.days.is_some(),
        raw.over_by.is_some(),
        raw.clock.is_some(),
    ];
    if timed.contains(&true) {
        return fault(key, "a counted standard has only count as its limit");
    }
    needed(&format!("{key}.count"), raw.count, 0..=1_000_000).map(Allowance::Count)
}

fn tiers(key: &str, raws: &[TierDocument]) -> Read<Vec<Tier>> {
    let last = raws.len();
    let tier = |(at, raw): (usize, &TierDocument)| {
        let key = format!("{key}.tiers[{}]", at + 1);
        let hours = raw
            .hours
            .map(|hours| whole(&key, hours, 1..=MINUTES_MAX / HOUR_MINUTES))
            .transpose()?;
        if hours.is_none() != (at + 1 == last) {
            return fault(key, "every tier but the last has hours, and the last has none");
        }
        Ok(Tier {
            hours,
            amount: money(&format!("{key}.inr"), &raw.inr)?,
        })
    };
    raws.iter().enumerate().map(tier).collect()
}

fn bounded(key: &str, value: i64, most: i64) -> Read<i64> {
    whole(key, value, 0..=most)
}
