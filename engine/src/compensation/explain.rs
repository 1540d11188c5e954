//! A regulation in plain words: what `gridtally check-config --preset` prints.

use std::fmt::Write;

use super::{
    Paise,
    calendar::{DAY_MINUTES, Period, Running, WorkingHours, show_time_of_day},
    rate::{HOUR_MINUTES, Rate},
    regulation::{
        Affected, Allowance, Amount, Applies, ClaimMode, Covers, Kind, Limit, REQUEST_KINDS, Regulation,
        Standard, Status, Validity,
    },
};

/// The regulation in plain words, line by line. Gaps and overlaps are told by [`super::coverage::problems`].
#[must_use]
pub fn lines(regulation: &Regulation) -> Vec<String> {
    let status = match regulation.status {
        Status::Confirmed => "confirmed: limits and amounts were read in the regulation itself",
        Status::Unconfirmed => "unconfirmed: read second-hand",
        Status::Partial => "partial: only a part of the regulation, read second-hand",
    };
    let mut lines = vec![
        format!(
            "{} (edition {}): {}",
            regulation.preset, regulation.revision, regulation.title
        ),
        format!(
            "{}, {}; in force {}",
            regulation.commission,
            regulation.state,
            dates(regulation.valid)
        ),
        status.to_owned(),
    ];
    lines.extend(regulation.provenance.iter().map(|line| format!("source: {line}")));
    for entry in &regulation.unconfirmed {
        lines.push(format!("not confirmed: {}: {}", entry.key, entry.reason));
    }
    lines.push(format!("area classes: {}", listed(&regulation.areas)));
    for (scope, fault) in &regulation.fault_by_scope {
        lines.push(format!(
            "until the crew has said, an outage of scope {scope} counts as {fault}"
        ));
    }
    lines.extend(regulation.working_hours.as_ref().map(working_hours));
    for standard in &regulation.standards {
        lines.push(String::new());
        lines.extend(self::standard(regulation, standard));
    }
    if let Some(cap) = &regulation.year_cap {
        lines.push(String::new());
        lines.push(format!(
            "cap: {} % of the fixed charges of the financial year in which the defaults began ({})",
            cap.fixed_charges_pct, cap.clause
        ));
    }
    lines.push(not_covered(regulation));
    lines
}

fn dates(valid: Validity) -> String {
    match valid.to {
        Some(to) => format!("from {} until before {to}", valid.from),
        None => format!("from {}", valid.from),
    }
}

fn listed<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    words.join(", ")
}

fn working_hours(hours: &WorkingHours) -> String {
    let holidays = match hours.holidays.len() {
        0 => "no holidays on file".to_owned(),
        _ => format!("closed on {}", listed(&hours.holidays)),
    };
    format!(
        "working hours: {}, {} to {}; {holidays}",
        listed(&hours.weekdays),
        show_time_of_day(hours.from_minute),
        show_time_of_day(hours.to_minute)
    )
}

fn standard(regulation: &Regulation, standard: &Standard) -> Vec<String> {
    let mut lines = vec![
        format!("[{}] {} ({})", standard.id, standard.about, standard.clause),
        format!("  it covers {}", covered(&standard.kind)),
    ];
    lines.extend(standard.limits.iter().map(|row| limit(regulation, standard, row)));
    if let Some(minutes) = standard.grace_minutes {
        lines.push(format!("  the first {} are exempt once a day", duration(minutes)));
    }
    lines.extend(standard.amounts.iter().map(|row| amount(regulation, row)));
    if !standard.exempt.is_empty() {
        lines.push(format!("  nothing is owed for: {}", listed(&standard.exempt)));
    }
    lines.push(format!("  {}", claim(standard)));
    if let Some(upheld) = standard.upheld {
        lines.push(format!(
            "  a claim that is upheld is worth {} times the amount, at least {}",
            upheld.factor,
            rupees(upheld.at_least)
        ));
    }
    lines
}

fn covered(kind: &Kind) -> String {
    let outages = |covers: &Covers| {
        let notice = covers
            .notice
            .map_or_else(String::new, |notice| format!(", notice {notice}"));
        format!("outages of class {}{notice}", listed(&covers.classes))
    };
    match kind {
        Kind::NoSupply(covers) | Kind::ScheduledOutage(covers) => outages(covers),
        Kind::InterruptionCount {
            covers,
            longer_than_minutes,
            period,
        } => format!(
            "the number, in a {}, of {} that last longer than {longer_than_minutes} min",
            named(*period),
            outages(covers)
        ),
        Kind::VoltageDays { band, period } => format!(
            "the days, in a {}, on which the voltage was below {} V - {} % or above it + {} % for {} min or more",
            named(*period),
            band.nominal_v,
            band.below_pct,
            band.above_pct,
            band.minutes_a_day
        ),
        Kind::Process => "requests of consumers".to_owned(),
    }
}

const fn named(period: Period) -> &'static str {
    match period {
        Period::Month => "month",
        Period::Quarter => "quarter",
        Period::Year => "financial year",
    }
}

fn limit(regulation: &Regulation, standard: &Standard, limit: &Limit) -> String {
    let allowed = match limit.allowance {
        Allowance::Time {
            minutes,
            over_by,
            clock,
        } => {
            let late =
                over_by.map_or_else(String::new, |at| format!(" and over by {}", show_time_of_day(at)));
            let clock = match clock {
                Running::Elapsed => "",
                Running::Working => " of working time",
            };
            format!("at most {}{clock}{late}", duration(minutes))
        }
        Allowance::Count(count) => match standard.kind {
            Kind::VoltageDays { .. } => format!("at most {count} such days"),
            Kind::NoSupply(_) | Kind::ScheduledOutage(_) | Kind::InterruptionCount { .. } | Kind::Process => {
                format!("at most {count}")
            }
        },
    };
    let clause = if limit.clause == standard.clause {
        String::new()
    } else {
        format!(" ({})", limit.clause)
    };
    format!("  {}: {allowed}{clause}", case(regulation, &limit.applies))
}

fn amount(regulation: &Regulation, amount: &Amount) -> String {
    let cap = amount.cap.map_or_else(String::new, |cap| {
        format!(", at most {} for one default", rupees(cap))
    });
    format!(
        "  {}: pays {}{cap}",
        case(regulation, &amount.applies),
        rate(&amount.rate)
    )
}

fn rate(rate: &Rate) -> String {
    match rate {
        Rate::PerHour(amount) => format!("{} for each hour beyond, a part counting whole", rupees(*amount)),
        Rate::PerDay(amount) => format!("{} for each day beyond, a part counting whole", rupees(*amount)),
        Rate::PerBlock { hours, amount } => format!(
            "{} for each block of {hours} h beyond, a part counting whole",
            rupees(*amount)
        ),
        Rate::PerEvent(amount) => format!("{} for each default", rupees(*amount)),
        Rate::PerInterruption(amount) => format!("{} for each interruption beyond", rupees(*amount)),
        Rate::TieredPerHour(tiers) => {
            let tier = |tier: &super::rate::Tier| match tier.hours {
                Some(hours) => format!("{} for each of the next {hours} h", rupees(tier.amount)),
                None => format!("{} for each further hour", rupees(tier.amount)),
            };
            format!("{}, a part counting whole", listed(tiers.iter().map(tier)))
        }
    }
}

fn claim(standard: &Standard) -> String {
    let mut text = match standard.claim {
        ClaimMode::Automatic => "owed without asking".to_owned(),
        ClaimMode::OnClaim => "owed on claim".to_owned(),
    };
    if let Some(days) = standard.claim_within_days {
        // Writing to a string cannot fail.
        let _ = write!(text, ", to be filed within {days} days");
    }
    match (standard.credit_within_days, standard.claim) {
        (None, _) => text.push_str("; no last day for the credit"),
        (Some(days), ClaimMode::Automatic) => {
            let _ = write!(text, "; credited within {days} days of its end");
        }
        (Some(days), ClaimMode::OnClaim) => {
            let _ = write!(
                text,
                "; credited within {days} days of its end or of the claim, whichever is later"
            );
        }
    }
    text
}

/// The cases to which a row applies; `every case` where it says nothing.
fn case(regulation: &Regulation, applies: &Applies) -> String {
    let mut parts = Vec::new();
    if !applies.of.is_empty() {
        parts.push(listed(&applies.of));
    }
    if !applies.areas.is_empty() && applies.areas != regulation.areas {
        parts.push(listed(&applies.areas));
    }
    if !applies.supplies.is_empty() {
        parts.push(listed(&applies.supplies));
    }
    match applies.affected {
        Some(Affected::One) => parts.push("one consumer affected".to_owned()),
        Some(Affected::Many) => parts.push("more than one consumer affected".to_owned()),
        None => {}
    }
    if applies.valid != regulation.valid {
        parts.push(dates(applies.valid));
    }
    if parts.is_empty() {
        "every case".to_owned()
    } else {
        parts.join("; ")
    }
}

fn rupees(amount: Paise) -> String {
    if amount.0 % 100 == 0 {
        format!("Rs {}", amount.0 / 100)
    } else {
        format!("Rs {amount}")
    }
}

fn duration(minutes: i64) -> String {
    match minutes {
        0 => "no time".to_owned(),
        minutes if minutes % HOUR_MINUTES != 0 => format!("{minutes} min"),
        minutes if minutes % DAY_MINUTES == 0 && minutes > 2 * DAY_MINUTES => {
            format!("{} days", minutes / DAY_MINUTES)
        }
        minutes => format!("{} h", minutes / HOUR_MINUTES),
    }
}

/// The standards of rule 13(4) that the regulation, as written here, leaves out.
fn not_covered(regulation: &Regulation) -> String {
    let has = |wanted: fn(&Kind) -> bool| regulation.standards.iter().any(|standard| wanted(&standard.kind));
    let mut missing = Vec::new();
    if !has(|kind| matches!(kind, Kind::NoSupply(_))) {
        missing.push("no supply (13(4)(i))".to_owned());
    }
    if !has(|kind| matches!(kind, Kind::InterruptionCount { .. })) {
        missing.push("number of interruptions (13(4)(ii))".to_owned());
    }
    if !has(|kind| matches!(kind, Kind::ScheduledOutage(_))) {
        missing.push("scheduled outages".to_owned());
    }
    if !has(|kind| matches!(kind, Kind::VoltageDays { .. })) {
        missing.push("days of bad voltage".to_owned());
    }
    for (kind, rule, about) in REQUEST_KINDS {
        if !regulation.standards.iter().any(|standard| standard.handles(kind)) {
            missing.push(format!("{about} ({rule})"));
        }
    }
    if missing.is_empty() {
        "it sets a standard for everything that the Rules of 2020 name".to_owned()
    } else {
        format!("no standard is set for: {}", missing.join(", "))
    }
}

#[cfg(test)]
mod tests;
