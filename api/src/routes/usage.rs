//! GET /consumers/{id}/usage: what a consumer used, by interval, civil day or month, and how far that is known.
//!
//! Live where the days are in memory, else from the published tables: what was let go from memory is whole there.

use std::{
    collections::{BTreeMap, HashMap},
    ops::RangeInclusive,
};

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use futures::TryStreamExt;
use gridtally_engine::{
    balance::ratio,
    compensation::Paise,
    revenue::Amounts,
    state::{Quality, Quarter},
    world::usage::{Said, Usage, UsedInterval, energy_wh},
};
use gridtally_schemas::{ConsumerId, Day, MeterId, UtcMicros};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    span::{self, Longest, Resolution, Wanted},
    sql::refused,
};
use crate::{
    access::{Caller, reach::Reach},
    app::App,
    figures::rounded,
    form::{Column, Holds, Table},
    parameters::{Parameters, short},
    problem::{self, Problem},
    sql::Format,
};

/// Longest spans, days: by day and month a year and the month that runs.
const LONGEST: Longest = Longest {
    interval: 62,
    day: 400,
    month: 400,
};

/// What a consumer used in an interval, civil day, month or in the whole span. Energies in Wh: the meters' counts times their factors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct UsageRow {
    /// End of the interval, of intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_end: Option<String>,
    /// Its length in minutes, of intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval_minutes: Option<i64>,
    /// The civil day, of days.
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    /// First day of the month, of months; only what of it lies in the span counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    month: Option<String>,
    /// Energy taken from the network. Null: nothing is known.
    import_wh: Option<i64>,
    /// Energy given to it. Null: nothing is known, or no meter says it.
    export_wh: Option<i64>,
    /// Intervals of its meters that are over.
    intervals_expected: i64,
    /// Of these, with an actual or edited value.
    intervals_reported: i64,
    /// Of these, with an estimate.
    intervals_estimated: i64,
    /// Of these, without any value.
    intervals_missing: i64,
    /// Reported of expected, per cent. Null: nothing was expected.
    coverage_pct: Option<f64>,
    /// Share of `import_wh` that is estimated, per cent. Null: there is none.
    estimated_pct: Option<f64>,
    /// The worst there is in it: missing, estimated, actual or edited. Null: nothing was expected.
    quality: Option<&'static str>,
    /// Volts, of intervals of one meter. Null: not said.
    voltage_v: Option<f64>,
    /// Energy billed for the month, of months, kWh. Null: no bill of it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    billed_kwh: Option<f64>,
    /// Billed for the month without arrears, with the subsidy that the State pays, of months, INR. Null: as `billed_kwh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    billed_inr: Option<String>,
}

/// A bill.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct BillRow {
    /// First day of the month.
    #[schema(example = "2026-04-01")]
    month: String,
    /// Energy billed, kWh.
    billed_kwh: f64,
    /// Billed without arrears, with the subsidy that the State pays, INR.
    billed_inr: String,
    /// Collected, INR. Null: billing did not say.
    collected_inr: Option<String>,
}

/// What a consumer used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsumerUsage {
    /// The consumer.
    consumer_id: String,
    /// Its meters in the span; none: it is unmetered, and what is assessed counts in the balance of its DT.
    meters: Vec<String>,
    /// Length of a row.
    resolution: &'static str,
    /// Begin of the span.
    from: String,
    /// End of the span.
    to: String,
    /// The zone of civil days.
    zone: String,
    /// The whole span in one row.
    total: UsageRow,
    /// The rows, in time order.
    rows: Vec<UsageRow>,
    /// Its bills of the months that the span touches, oldest first.
    bills: Vec<BillRow>,
}

fn columns(resolution: Resolution) -> Vec<Column> {
    use Holds::{Day, Instant, Number, Text, Whole};
    let mut columns = match resolution {
        Resolution::Interval => vec![Column("interval_end", Instant), Column("interval_minutes", Whole)],
        Resolution::Day => vec![Column("day", Day)],
        Resolution::Month => vec![Column("month", Day)],
    };
    columns.extend([
        Column("import_wh", Whole),
        Column("export_wh", Whole),
        Column("intervals_expected", Whole),
        Column("intervals_reported", Whole),
        Column("intervals_estimated", Whole),
        Column("intervals_missing", Whole),
        Column("coverage_pct", Number),
        Column("estimated_pct", Number),
        Column("quality", Text),
        Column("voltage_v", Number),
    ]);
    if resolution == Resolution::Month {
        columns.extend([Column("billed_kwh", Number), Column("billed_inr", Text)]);
    }
    columns
}

/// Sums over intervals.
#[derive(Debug, Default)]
struct Sums {
    import_wh: Option<i64>,
    export_wh: Option<i64>,
    estimated_wh: i64,
    expected: i64,
    reported: i64,
    estimated: i64,
    worst: Option<Quality>,
    /// Of the last interval added, and of how many.
    voltage_v: Option<f32>,
    minutes: i64,
}

fn plus(sum: &mut Option<i64>, part: i64) {
    *sum = Some(sum.unwrap_or(0).saturating_add(part));
}

impl Sums {
    fn add(&mut self, interval: &UsedInterval) {
        let quality = interval.said.map_or(Quality::Missing, |said| said.quality);
        self.expected += 1;
        self.minutes = interval.minutes;
        self.worst = Some(self.worst.map_or(quality, |worst| worst.min(quality)));
        let Some(said) = interval.said else { return };
        let import_wh = energy_wh(said.import_wh, interval.multiplier);
        plus(&mut self.import_wh, import_wh);
        if let Some(export_wh) = said.export_wh {
            plus(&mut self.export_wh, energy_wh(export_wh, interval.multiplier));
        }
        if quality == Quality::Estimated {
            self.estimated += 1;
            self.estimated_wh = self.estimated_wh.saturating_add(import_wh);
        } else {
            self.reported += 1;
        }
        self.voltage_v = said.voltage_v;
    }

    fn row(&self) -> UsageRow {
        let share = |part, whole| (whole > 0).then(|| rounded(100.0 * ratio(part, whole)));
        UsageRow {
            import_wh: self.import_wh,
            export_wh: self.export_wh,
            intervals_expected: self.expected,
            intervals_reported: self.reported,
            intervals_estimated: self.estimated,
            intervals_missing: self.expected - self.reported - self.estimated,
            coverage_pct: share(self.reported, self.expected),
            estimated_pct: share(self.estimated_wh, self.import_wh.unwrap_or(0)),
            quality: self.worst.map(Quality::as_str),
            ..UsageRow::default()
        }
    }
}

/// A row of `interval_reads`: meter, end of the interval, quality, import, export, volts.
#[derive(Debug, Deserialize)]
struct TableRow(MeterId, String, String, Option<i64>, Option<i64>, Option<f32>);

impl TableRow {
    /// What it says of which interval; `None`: it holds no value.
    fn said(self) -> Option<((MeterId, Quarter), Said)> {
        let Self(meter, end, quality, import_wh, export_wh, voltage_v) = self;
        let quarter = Quarter::ending(UtcMicros::parse(&end).ok()?)?;
        let said = Said {
            quality: Quality::parse(&quality).filter(|quality| *quality != Quality::Missing)?,
            import_wh: import_wh?,
            export_wh,
            voltage_v,
        };
        Some(((meter, quarter), said))
    }
}

/// What a query of them answers.
#[derive(Debug, Deserialize)]
struct TableRows {
    rows: Vec<TableRow>,
    truncated: bool,
}

/// Reads of days that are out of memory, from the tables.
async fn from_tables(
    app: &App,
    meters: &[&MeterId],
    days: &RangeInclusive<Day>,
) -> Result<HashMap<(MeterId, Quarter), Said>, Problem> {
    let meters: Vec<String> = meters
        .iter()
        .map(|meter| format!("'{}'", meter.as_str().replace('\'', "''")))
        .collect();
    let statement = format!(
        "SELECT meter_id, interval_end, quality, import_wh, export_wh, voltage_v FROM interval_reads \
         WHERE meter_id IN ({}) AND day BETWEEN '{}' AND '{}'",
        meters.join(", "),
        days.start(),
        days.end()
    );
    let published_at = app.engine.progress().published_at;
    let rows = app.sql.query(&statement, Format::Json, published_at).await;
    let parts = rows.map_err(|error| refused(&error))?;
    let bytes = parts
        .try_fold(Vec::new(), |mut all, part| async move {
            all.extend_from_slice(&part);
            Ok(all)
        })
        .await
        .map_err(|error| refused(&error))?;
    let found: TableRows = serde_json::from_slice(&bytes)
        .map_err(|error| Problem::failed("reads of the tables cannot be understood", &error))?;
    if found.truncated {
        let why = "the tables hold more reads of this span than a query may give; ask for a shorter one";
        return Err(Problem::parameter("from", why));
    }
    Ok(found.rows.into_iter().filter_map(TableRow::said).collect())
}

/// Puts in what is in the tables alone.
async fn fill(app: &App, usage: &mut Usage) -> Result<(), Problem> {
    let zone = &app.zone;
    let out = |intervals: &Vec<UsedInterval>| intervals.iter().any(|interval| interval.is_out);
    let meters: Vec<&MeterId> = usage
        .meters
        .iter()
        .filter(|(_, intervals)| out(intervals))
        .map(|(meter, _)| meter)
        .collect();
    let days: Vec<Day> = usage
        .meters
        .values()
        .flatten()
        .filter(|interval| interval.is_out)
        .map(|interval| zone.day_of_interval(interval.quarter.end()))
        .collect();
    let (Some(first), Some(last)) = (days.iter().min(), days.iter().max()) else {
        return Ok(());
    };
    let found = from_tables(app, &meters, &(*first..=*last)).await?;
    for (meter, intervals) in &mut usage.meters {
        for interval in intervals.iter_mut().filter(|interval| interval.is_out) {
            interval.said = found.get(&(meter.clone(), interval.quarter)).copied();
        }
    }
    Ok(())
}

/// The rows, and the whole span in one.
fn rows(usage: &Usage, wanted: &Wanted) -> (Vec<UsageRow>, UsageRow) {
    let zone = &wanted.zone;
    let mut total = Sums::default();
    let mut sums: BTreeMap<i64, Sums> = BTreeMap::new();
    for interval in usage.meters.values().flatten() {
        let end = interval.quarter.end();
        if end <= wanted.span.start || end > wanted.span.end {
            continue;
        }
        let day = zone.day_of_interval(end);
        let key = match wanted.resolution {
            Resolution::Interval => end.0,
            Resolution::Day => day.0.into(),
            Resolution::Month => day.first_of_month().0.into(),
        };
        sums.entry(key).or_default().add(interval);
        total.add(interval);
    }
    let of_month: HashMap<Day, &Amounts> = usage.bills.iter().map(|(month, bill)| (*month, bill)).collect();
    let row = |(key, sums): (&i64, &Sums)| {
        let day = Day(i32::try_from(*key).unwrap_or_default());
        let row = sums.row();
        match wanted.resolution {
            Resolution::Interval => UsageRow {
                interval_end: Some(UtcMicros(*key).to_rfc3339(zone)),
                interval_minutes: Some(sums.minutes),
                voltage_v: sums
                    .voltage_v
                    .filter(|_| sums.expected == 1)
                    .map(|volts| rounded(volts.into())),
                ..row
            },
            Resolution::Day => UsageRow {
                day: Some(day.to_string()),
                ..row
            },
            Resolution::Month => UsageRow {
                month: Some(day.to_string()),
                billed_kwh: of_month.get(&day).map(|bill| ratio(bill.sold_wh, 1_000)),
                billed_inr: of_month
                    .get(&day)
                    .map(|bill| Paise(bill.revenue_paise()).to_string()),
                ..row
            },
        }
    };
    (sums.iter().map(row).collect(), total.row())
}

/// What a consumer used, by interval, civil day or month, with how much of it is estimated or missing, and its bills.
///
/// Live: what `/summary` calls `applied_position` is in it. Days that were let go from memory come from the tables, which hold all of them.
#[utoipa::path(
    get,
    path = "/api/v1/consumers/{id}/usage",
    tag = "Network",
    params(
        ("id" = String, Path, description = "The consumer."),
        ("from" = Option<String>, Query, description = "Begin: RFC 3339 with offset, or a civil day. Default: 2 days, 31 days or 366 days before `to`."),
        ("to" = Option<String>, Query, description = "End: RFC 3339 with offset, or a civil day, which stands for its beginning. Default: now; for days and months the end of today."),
        ("resolution" = Option<String>, Query, description = "interval (at most 62 days), day or month (at most 400 days). Default: interval."),
    ),
    responses(
        (status = 200, description = "The usage.", content((ConsumerUsage = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 400, description = "A parameter cannot be used.", body = crate::problem::ProblemDocument),
        (status = 404, description = "There is no such consumer.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let consumer =
        ConsumerId::parse(&id).map_err(|why| Problem::parameter("id", format!("`{}`: {why}", short(&id))))?;
    let wanted = span::wanted(&app, &mut parameters, LONGEST)?;
    parameters.finish()?;
    let zone = &wanted.zone;
    let usage = app.engine.read(|world| {
        let reach = Reach::of(world, &caller, app.clock.now());
        let is_seen = reach.consumer(&consumer);
        is_seen.then(|| world.usage(&consumer, wanted.days())).flatten()
    });
    let mut usage = usage.ok_or_else(|| {
        let detail = format!("consumer `{consumer}` has no connection");
        Problem::new(problem::UNKNOWN_CONSUMER, detail)
    })?;
    fill(&app, &mut usage).await?;
    let (rows, total) = rows(&usage, &wanted);
    let in_span = |(_, intervals): &(&MeterId, &Vec<UsedInterval>)| !intervals.is_empty();
    let bill = |(month, bill): &(Day, Amounts)| BillRow {
        month: month.to_string(),
        billed_kwh: ratio(bill.sold_wh, 1_000),
        billed_inr: Paise(bill.revenue_paise()).to_string(),
        collected_inr: bill.collected_paise.map(|paise| Paise(paise).to_string()),
    };
    let answer = ConsumerUsage {
        consumer_id: consumer.to_string(),
        meters: usage
            .meters
            .iter()
            .filter(in_span)
            .map(|(meter, _)| meter.to_string())
            .collect(),
        resolution: wanted.resolution.as_str(),
        from: wanted.span.start.to_rfc3339(zone),
        to: wanted.span.end.to_rfc3339(zone),
        zone: zone.name().to_owned(),
        total,
        bills: usage.bills.iter().map(bill).collect(),
        rows,
    };
    let name = format!("{consumer}-{}", answer.resolution);
    Table {
        columns: &columns(wanted.resolution),
        rows: &answer.rows,
        name: &name,
    }
    .answer(&headers, &answer)
}
