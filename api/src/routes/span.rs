//! Over which time, and in rows of which length, something is asked for: the same parameters for nodes and for consumers.

use std::ops::{Range, RangeInclusive};

use gridtally_schemas::{Day, UtcMicros, Zone};

use crate::{
    app::App,
    parameters::{Parameters, short},
    problem::Problem,
};

/// Length of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// The metering interval.
    Interval,
    /// The civil day.
    Day,
    /// The civil month.
    Month,
}

impl Resolution {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// Longest spans, days.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Longest {
    pub(crate) interval: i64,
    pub(crate) day: i64,
    pub(crate) month: i64,
}

impl Longest {
    /// Longest span, in days, and the span when none is given.
    const fn days(self, resolution: Resolution) -> (i64, i64) {
        match resolution {
            Resolution::Interval => (self.interval, 2),
            Resolution::Day => (self.day, 31),
            Resolution::Month => (self.month, 366),
        }
    }
}

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) span: Range<UtcMicros>,
    pub(crate) resolution: Resolution,
    pub(crate) zone: Zone,
}

impl Wanted {
    /// The civil days that the span touches.
    pub(crate) fn days(&self) -> RangeInclusive<Day> {
        self.zone.day_of(self.span.start)..=self.zone.day_of_interval(self.span.end)
    }
}

const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// Takes `resolution`, `from` and `to`.
pub(crate) fn wanted(app: &App, parameters: &mut Parameters, longest: Longest) -> Result<Wanted, Problem> {
    let resolution = match parameters.text("resolution")?.as_deref() {
        None | Some("interval") => Resolution::Interval,
        Some("day") => Resolution::Day,
        Some("month") => Resolution::Month,
        Some(other) => {
            return Err(Problem::parameter(
                "resolution",
                format!("`{}` is none of: interval, day, month", short(other)),
            ));
        }
    };
    let (days_max, days_default) = longest.days(resolution);
    let zone = app.zone.clone();
    let to = parameters
        .instant("to", &zone)?
        .unwrap_or_else(|| match resolution {
            Resolution::Interval => app.clock.now(),
            // A running day or month is asked for as a whole.
            Resolution::Day | Resolution::Month => zone.start_of(zone.day_of(app.clock.now()).next()),
        });
    let from = parameters
        .instant("from", &zone)?
        .unwrap_or_else(|| to.plus(-days_default * DAY_MICROS));
    if from >= to {
        return Err(Problem::parameter(
            "from",
            format!(
                "{} is not before `to`, {}",
                from.to_rfc3339(&zone),
                to.to_rfc3339(&zone)
            ),
        ));
    }
    if to.0.saturating_sub(from.0) > days_max * DAY_MICROS {
        let word = resolution.as_str();
        return Err(Problem::parameter(
            "from",
            format!("at resolution {word} a span is at most {days_max} days"),
        ));
    }
    Ok(Wanted {
        span: from..to,
        resolution,
        zone,
    })
}
