//! From a document to a regulation: every key checked, the first bad one named.

use std::collections::BTreeSet;

use gridtally_schemas::Day;

use super::{
    Amount, ClaimMode, Covers, Kind, Limit, Regulation, Standard, Unconfirmed, Upheld, Validity, VoltageBand,
    YearCap,
};
use crate::compensation::{
    calendar::{DAY_MINUTES, Period, Running, WorkingHours},
    document::{
        Document, FORMAT, GraceDocument, StandardDocument, UpheldDocument, VoltageDocument,
        WorkingHoursDocument, YearCapDocument,
    },
    evidence::Exemption,
};

mod rows;
mod value;

use rows::Rows;
use value::{Read, day, days, fault, money, needed, parsed, said, set, time_of_day, validity, whole, word};

/// Exemptions that no regulation can lift, because such a loss is never an interruption.
const NEVER_INTERRUPTIONS: [(Exemption, &str); 3] = [
    (Exemption::PrepaidCutOff, "Rules 2020, 9(3)"),
    (Exemption::NonPayment, "a disconnection is no interruption"),
    (Exemption::OutsideSupplyHours, "Rules 2020, 10(1)"),
];

pub(super) fn regulation(document: &Document) -> Read<Regulation> {
    if document.format != FORMAT {
        return fault(
            "format",
            format!("{} is not {FORMAT}, the format of this version", document.format),
        );
    }
    let valid = validity(
        "",
        Some(&document.valid_from),
        document.valid_to.as_ref(),
        Validity {
            from: Day(i32::MIN),
            to: None,
        },
    )?;
    let working_hours = document.working_hours.as_ref().map(working_hours).transpose()?;
    let context = Context {
        valid,
        working: working_hours.as_ref(),
    };
    let regulation = Regulation {
        preset: word("preset", &document.preset)?,
        revision: whole("revision", document.revision, 1..=1_000_000)?,
        title: said("title", &document.title)?,
        commission: said("commission", &document.commission)?,
        state: said("state", &document.state)?,
        status: parsed("status", &document.status)?,
        provenance: document.provenance.clone(),
        valid,
        areas: set("areas", &document.areas)?,
        fault_by_scope: document
            .scope
            .iter()
            .map(|(scope, fault_type)| {
                let key = format!("scope.{scope}");
                Ok((parsed(&key, scope)?, word(&key, fault_type)?))
            })
            .collect::<Read<_>>()?,
        year_cap: document.year_cap.as_ref().map(year_cap).transpose()?,
        unconfirmed: document
            .unconfirmed
            .iter()
            .map(|entry| Unconfirmed {
                key: entry.key.clone(),
                reason: entry.reason.clone(),
            })
            .collect(),
        standards: standards(document, &context)?,
        working_hours,
    };
    whole_regulation(&regulation)?;
    Ok(regulation)
}

/// What only the whole shows.
fn whole_regulation(regulation: &Regulation) -> Read<()> {
    if regulation.provenance.iter().all(|line| line.trim().is_empty()) {
        return fault("provenance", "it must say where the regulation was read");
    }
    if regulation.areas.is_empty() {
        return fault("areas", "the area classes that the State uses must be named");
    }
    let known = regulation.fault_types();
    for (scope, fault_type) in &regulation.fault_by_scope {
        if !known.contains(fault_type.as_str()) {
            return fault(
                format!("scope.{scope}"),
                format!("`{fault_type}` is a fault type of no limit"),
            );
        }
    }
    for entry in &regulation.unconfirmed {
        let standard = entry
            .key
            .strip_prefix("standard.")
            .map(|rest| rest.split('.').next().unwrap_or(rest));
        let exists = standard.is_none_or(|id| regulation.standards.iter().any(|standard| standard.id == id));
        if entry.reason.trim().is_empty() || entry.key.trim().is_empty() || !exists {
            return fault(
                format!("unconfirmed.{}", entry.key),
                "an existing key and what is not known about it are needed",
            );
        }
    }
    Ok(())
}

/// What rows inherit.
struct Context<'a> {
    valid: Validity,
    working: Option<&'a WorkingHours>,
}

fn standards(document: &Document, context: &Context<'_>) -> Read<Vec<Standard>> {
    if document.standards.is_empty() {
        return fault("standard", "there is none");
    }
    let mut seen = BTreeSet::new();
    let mut standards = Vec::with_capacity(document.standards.len());
    for (at, raw) in document.standards.iter().enumerate() {
        word(&format!("standard[{}].id", at + 1), &raw.id)?;
        let key = format!("standard.{}", raw.id);
        if !seen.insert(raw.id.as_str()) {
            return fault(format!("{key}.id"), "another standard has this id");
        }
        standards.push(standard(&key, raw, context)?);
    }
    Ok(standards)
}

fn standard(key: &str, raw: &StandardDocument, context: &Context<'_>) -> Read<Standard> {
    let kind = kind(key, raw)?;
    let exempt = set(&format!("{key}.exempt"), &raw.exempt)?;
    if kind.timed_outages().is_some() || matches!(kind, Kind::InterruptionCount { .. }) {
        for (exemption, why) in NEVER_INTERRUPTIONS {
            if !exempt.contains(&exemption) {
                return fault(
                    format!("{key}.exempt"),
                    format!("`{exemption}` must be listed: {why}"),
                );
            }
        }
    }
    let claim: ClaimMode = parsed(&format!("{key}.claim"), &raw.claim)?;
    let claim_within = format!("{key}.claim_within_days");
    if matches!(claim, ClaimMode::Automatic) && raw.claim_within_days.is_some() {
        return fault(claim_within, "what is automatic needs no claim");
    }
    let grace_minutes = grace(key, raw.grace.as_ref(), &kind)?;
    let clock_key = format!("{key}.clock");
    let clock = raw
        .clock
        .as_ref()
        .map(|clock| parsed(&clock_key, clock))
        .transpose()?;
    let rows = Rows {
        key,
        kind: &kind,
        clause: &raw.clause,
        clock: clock.unwrap_or(Running::Elapsed),
        context,
    };
    let (limits, amounts) = (rows.limits(&raw.limits)?, rows.amounts(&raw.amounts)?);
    known_words(key, &limits, &amounts)?;
    Ok(Standard {
        id: raw.id.clone(),
        clause: said(&format!("{key}.clause"), &raw.clause)?,
        about: said(&format!("{key}.about"), &raw.about)?,
        exempt,
        grace_minutes,
        claim,
        claim_within_days: days(&claim_within, raw.claim_within_days)?,
        credit_within_days: days(&format!("{key}.credit_within_days"), raw.credit_within_days)?,
        upheld: raw
            .upheld
            .as_ref()
            .map(|upheld| self::upheld(key, upheld))
            .transpose()?,
        limits,
        amounts,
        kind,
    })
}

/// A fault type or request kind that only an amount knows can never be owed: a slip of the pen.
fn known_words(key: &str, limits: &[Limit], amounts: &[Amount]) -> Read<()> {
    let of_limits: BTreeSet<&String> = limits.iter().flat_map(|limit| &limit.applies.of).collect();
    let any = limits.iter().any(|limit| limit.applies.of.is_empty());
    for (at, amount) in amounts.iter().enumerate() {
        if let Some(unknown) = amount
            .applies
            .of
            .iter()
            .find(|word| !any && !of_limits.contains(word))
        {
            return fault(
                format!("{key}.amount[{}]", at + 1),
                format!("no limit of this standard knows `{unknown}`"),
            );
        }
    }
    Ok(())
}

fn kind(key: &str, raw: &StandardDocument) -> Read<Kind> {
    let kind = match raw.kind.as_str() {
        "no_supply" => Kind::NoSupply(covers(key, raw)?),
        "scheduled_outage" => Kind::ScheduledOutage(covers(key, raw)?),
        "interruption_count" => Kind::InterruptionCount {
            covers: covers(key, raw)?,
            longer_than_minutes: needed(
                &format!("{key}.longer_than_minutes"),
                raw.longer_than_minutes,
                0..=DAY_MINUTES,
            )?,
            period: period(key, raw)?,
        },
        "voltage_days" => Kind::VoltageDays {
            band: voltage(key, raw.voltage.as_ref())?,
            period: period(key, raw)?,
        },
        "process" => Kind::Process,
        other => {
            let known = "no_supply, scheduled_outage, interruption_count, voltage_days, process";
            return fault(format!("{key}.kind"), format!("`{other}` is none of: {known}"));
        }
    };
    let outages = !matches!(kind, Kind::VoltageDays { .. } | Kind::Process);
    let counted = matches!(kind, Kind::VoltageDays { .. } | Kind::InterruptionCount { .. });
    let misplaced = [
        ("classes", !raw.classes.is_empty() && !outages),
        ("notice", raw.notice.is_some() && !outages),
        ("clock", raw.clock.is_some() && counted),
        ("period", raw.period.is_some() && !counted),
        (
            "longer_than_minutes",
            raw.longer_than_minutes.is_some() && !matches!(kind, Kind::InterruptionCount { .. }),
        ),
        (
            "voltage",
            raw.voltage.is_some() && !matches!(kind, Kind::VoltageDays { .. }),
        ),
    ];
    match misplaced.into_iter().find(|(_, wrong)| *wrong) {
        Some((name, _)) => fault(
            format!("{key}.{name}"),
            format!("it has no meaning for `{}`", raw.kind),
        ),
        None => Ok(kind),
    }
}

fn covers(key: &str, raw: &StandardDocument) -> Read<Covers> {
    let classes_key = format!("{key}.classes");
    let classes = set(&classes_key, &raw.classes)?;
    if classes.is_empty() {
        return fault(classes_key, "at least one outage class is needed");
    }
    let notice_key = format!("{key}.notice");
    let notice = raw
        .notice
        .as_ref()
        .map(|notice| parsed(&notice_key, notice))
        .transpose()?;
    Ok(Covers { classes, notice })
}

fn period(key: &str, raw: &StandardDocument) -> Read<Period> {
    let key = format!("{key}.period");
    match &raw.period {
        Some(period) => parsed(&key, period),
        None => fault(key, "month, quarter or year is needed"),
    }
}

fn voltage(key: &str, raw: Option<&VoltageDocument>) -> Read<VoltageBand> {
    let key = format!("{key}.voltage");
    let Some(raw) = raw else {
        return fault(key, "it is needed");
    };
    Ok(VoltageBand {
        nominal_v: whole(&format!("{key}.nominal_v"), raw.nominal_v, 1..=1_000_000)?,
        below_pct: whole(&format!("{key}.below_pct"), raw.below_pct, 0..=100)?,
        above_pct: whole(&format!("{key}.above_pct"), raw.above_pct, 0..=100)?,
        minutes_a_day: whole(
            &format!("{key}.minutes_a_day"),
            raw.minutes_a_day,
            1..=DAY_MINUTES,
        )?,
    })
}

fn grace(key: &str, raw: Option<&GraceDocument>, kind: &Kind) -> Read<Option<i64>> {
    let Some(raw) = raw else {
        return Ok(None);
    };
    if kind.timed_outages().is_none() {
        return fault(
            format!("{key}.grace"),
            format!("it has no meaning for `{}`", kind.as_str()),
        );
    }
    if raw.once_a != "day" {
        return fault(format!("{key}.grace.once_a"), "only `day` is possible");
    }
    whole(&format!("{key}.grace.minutes"), raw.minutes, 1..=DAY_MINUTES).map(Some)
}

fn upheld(key: &str, raw: &UpheldDocument) -> Read<Upheld> {
    Ok(Upheld {
        factor: whole(&format!("{key}.upheld.factor"), raw.factor, 1..=1_000)?,
        at_least: money(&format!("{key}.upheld.at_least_inr"), &raw.at_least_inr)?,
    })
}

fn working_hours(raw: &WorkingHoursDocument) -> Read<WorkingHours> {
    let from_minute = time_of_day("working_hours.from", &raw.from)?;
    let to_minute = time_of_day("working_hours.to", &raw.to)?;
    if to_minute <= from_minute {
        return fault("working_hours.to", "it must be later than from");
    }
    let weekdays = set("working_hours.weekdays", &raw.weekdays)?;
    if weekdays.is_empty() {
        return fault("working_hours.weekdays", "at least one is needed");
    }
    let holiday = |text: &String| day("working_hours.holidays", text);
    Ok(WorkingHours {
        weekdays,
        from_minute,
        to_minute,
        holidays: raw.holidays.iter().map(holiday).collect::<Read<_>>()?,
    })
}

fn year_cap(raw: &YearCapDocument) -> Read<YearCap> {
    Ok(YearCap {
        fixed_charges_pct: whole("year_cap.fixed_charges_pct", raw.fixed_charges_pct, 1..=1_000)?,
        clause: said("year_cap.clause", &raw.clause)?,
    })
}
