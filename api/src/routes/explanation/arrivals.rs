//! What the meters said about the time of a default and when it reached us, from the published tables.

use std::fmt::Write;

use gridtally_engine::world::compensation::Case;
use gridtally_schemas::UtcMicros;

use crate::{
    app::App,
    problem::{self, Problem, causes},
    sql::{SqlError, plain},
};

/// How far about the interruptions events and reads are listed, µs: two blocks.
const ABOUT_MICROS: i64 = 30 * 60_000_000;
/// Most reads and most events that are listed.
const ROWS_MAX: usize = 400;

/// A row of the tables, its cells as text.
pub(super) type Cells = Vec<String>;

/// What was said, and when it came.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// Meter, when by its clock, code, meaning, when received, from whom, log record.
    pub(super) events: Vec<Cells>,
    /// Meter, end of the interval, Wh, V, quality, version, when received, from whom, log record.
    pub(super) reads: Vec<Cells>,
}

impl Arrivals {
    /// Asks the tables. Nothing where the default has no interruption.
    pub(super) async fn of(app: &App, case: &Case) -> Result<Self, Problem> {
        let from = case
            .interruptions
            .iter()
            .map(|held| held.evidence.failed.earliest)
            .min();
        let Some(from) = from.filter(|_| !case.meters.is_empty()) else {
            return Ok(Self::default());
        };
        let ends = case.interruptions.iter().map(|held| {
            let restored = held.evidence.restored.map(|restored| restored.latest);
            restored.or(held.ended_at)
        });
        let to = ends
            .collect::<Option<Vec<_>>>()
            .and_then(|ends| ends.into_iter().max())
            .unwrap_or_else(|| app.clock.now());
        let (from, to) = (from.plus(-ABOUT_MICROS), to.plus(ABOUT_MICROS));
        let mut meters = String::new();
        for (at, meter) in case.meters.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            // Writing to a string cannot fail. A quote in an id is doubled, so that the text stays one.
            let _ = write!(meters, "{comma}'{}'", meter.as_str().replace('\'', "''"));
        }
        let within = |column: &str| within(column, from, to);
        let events = format!(
            "SELECT meter_id, at, code, meaning, received_at, source, position FROM meter_events \
             WHERE meter_id IN ({meters}) AND {} ORDER BY at, meter_id, code LIMIT {ROWS_MAX}",
            within("at")
        );
        let reads = format!(
            "SELECT meter_id, interval_end, import_wh, voltage_v, quality, version, received_at, source, position FROM interval_reads \
             WHERE meter_id IN ({meters}) AND {} ORDER BY interval_end, meter_id LIMIT {ROWS_MAX}",
            within("interval_end")
        );
        Ok(Self {
            events: rows(app, &events).await?,
            reads: rows(app, &reads).await?,
        })
    }
}

/// A condition on a column of time and on the partition that it lies in.
fn within(column: &str, from: UtcMicros, to: UtcMicros) -> String {
    let zone = gridtally_schemas::Zone::utc();
    let (first, last) = (from.to_rfc3339(&zone), to.to_rfc3339(&zone));
    // A day of the partition is civil in whatever zone: a day more on both sides holds it.
    let day = |at: UtcMicros, days: i32| gridtally_schemas::Day(zone.day_of(at).0 + days);
    format!(
        "{column} BETWEEN TIMESTAMP '{first}' AND TIMESTAMP '{last}' AND day BETWEEN DATE '{}' AND DATE '{}'",
        day(from, -1),
        day(to, 1)
    )
}

async fn rows(app: &App, query: &str) -> Result<Vec<Cells>, Problem> {
    let answer = app.sql.rows(query).await.map_err(|error| failed(&error))?;
    let rows = answer.rows.iter();
    Ok(rows.map(|cells| cells.iter().map(plain).collect()).collect())
}

fn failed(error: &SqlError) -> Problem {
    match error {
        SqlError::Busy { .. } | SqlError::Share { .. } => Problem::new(problem::TOO_MANY, causes(error)),
        SqlError::Refused(_)
        | SqlError::Query { .. }
        | SqlError::Deadline { .. }
        | SqlError::Memory { .. }
        | SqlError::TooManyRows { .. }
        | SqlError::Start { .. }
        | SqlError::Broken { .. } => Problem::failed("what the meters said cannot be looked up", error),
    }
}
