//! What a difference rests on: the roster of its interval and the reads of the meters that its column sums up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::{Array, RecordBatch},
    datatypes::{Int32Type, Int64Type},
};
use datafusion::{
    prelude::{Expr, col, lit},
    scalar::ScalarValue,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{Day, UtcMicros, table};
use hashbrown::HashMap;

use super::{
    VerifyError,
    differences::{Concerns, Difference},
    reads::TABLE,
    selection::Work,
    snapshot::{array, days_between, is_derived, standing_reads, texts, times},
};
use crate::{
    network::{Member, MemberRole, MeterIx, NodeIx, Roster},
    state::Quarter,
};

/// Lines of evidence of one difference.
const LINES_MAX: usize = 12;

const COLUMNS: [&str; 10] = [
    "meter_id",
    "interval_end",
    "import_wh",
    "export_wh",
    "quality",
    "revision",
    "version",
    "position",
    "received_at",
    "source",
];

/// A row of `interval_reads` in words.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    position: i64,
    text: String,
}

type Reads = HashMap<(String, i64), Vec<Line>>;

/// The part of a roster that a difference is about.
struct Basis {
    roster: Arc<Roster>,
    quarter: Quarter,
    members: Vec<Member>,
}

/// Writes the evidence into the differences: one query a day.
pub(super) async fn add(work: &Arc<Work>, differences: &mut [Difference]) -> Result<(), VerifyError> {
    let mut days: BTreeMap<Day, Vec<(&mut Difference, Basis)>> = BTreeMap::new();
    for difference in differences {
        match difference.place.concerns {
            Concerns::Itself => {}
            Concerns::Day(node, day) => difference.evidence = of_day(work, node, day),
            Concerns::Balance(node, quarter) => {
                if let Some(basis) = basis(work, node, quarter, difference.column) {
                    let day = work.settings.zone.day_of_interval(quarter.end());
                    days.entry(day).or_default().push((difference, basis));
                }
            }
        }
    }
    for (day, of_day) in days {
        let reads = reads_of(work, day, of_day.iter().map(|(_, basis)| basis)).await?;
        for (difference, basis) in of_day {
            difference.evidence = lines(work, &basis, &reads);
        }
    }
    Ok(())
}

fn of_day(work: &Work, node: NodeIx, day: Day) -> Vec<String> {
    let mut feeders = Vec::new();
    work.network.feeders_at_or_below(node, &mut feeders);
    work.network.feeders_above(node, &mut feeders);
    feeders.sort_unstable();
    feeders.dedup();
    vec![format!(
        "the sum of the balances of {day} of {} feeders; differences in these are listed above",
        feeders.len()
    )]
}

/// The roster of a balance, and of its members those that a column sums up.
fn basis(work: &Work, node: NodeIx, quarter: Quarter, column: &str) -> Option<Basis> {
    let mut feeders = Vec::new();
    work.network.feeders_above(node, &mut feeders);
    let of_node = |roster: &Roster| {
        let dt = roster.dts.iter().position(|dt| *dt == node);
        (roster.feeder == node || dt.is_some()).then_some(dt)
    };
    let found = feeders.into_iter().find_map(|feeder| {
        let roster = work.roster(feeder, quarter);
        of_node(&roster).map(|dt| (roster, dt))
    });
    let (roster, dt) = found?;
    let dt = dt.and_then(|dt| u32::try_from(dt).ok());
    let of_dt = roster.members().filter(|member| dt.is_none() || member.dt == dt);
    let members = of_dt.filter(|member| counts_in(member.role, column)).collect();
    Some(Basis {
        roster,
        quarter,
        members,
    })
}

/// Whether members of a role go into a column.
fn counts_in(role: MemberRole, column: &str) -> bool {
    use MemberRole::{
        BoundaryOther, BoundaryOwn, Consumer, Dt, Feeder, Generation, HtConsumer, HtGeneration,
    };
    let roles: &[MemberRole] = match column {
        "dt_import_wh" | "dt_export_wh" | "dt_input_wh" => &[Dt],
        "feeder_import_wh" | "feeder_export_wh" => &[Feeder],
        "boundary_in_wh" | "boundary_out_wh" => &[BoundaryOwn, BoundaryOther],
        "ht_import_wh" => &[HtConsumer],
        "ht_export_wh" => &[HtConsumer, HtGeneration],
        "consumer_import_wh" => &[Consumer, HtConsumer],
        "consumer_export_wh" => &[Consumer, Generation, HtConsumer, HtGeneration],
        "unmetered_wh" | "interval_minutes" | "status" | "version" => &[],
        _ => return true,
    };
    roles.contains(&role)
}

/// The reads of all members concerned in one day.
async fn reads_of(work: &Work, day: Day, bases: impl Iterator<Item = &Basis>) -> Result<Reads, VerifyError> {
    let (mut meters, mut ends): (Vec<MeterIx>, Vec<i64>) = (Vec::new(), Vec::new());
    let mut from = day;
    for basis in bases {
        meters.extend(basis.members.iter().map(|member| member.meter));
        for quarter in quarters(basis) {
            ends.push(quarter.end().0);
            from = from.min(work.settings.zone.day_of_interval(quarter.end()));
        }
    }
    meters.sort_unstable();
    meters.dedup();
    ends.sort_unstable();
    ends.dedup();
    let ids = meters.iter().filter_map(|meter| work.network.meter(*meter));
    let ids = ids.map(|meter| lit(meter.id())).collect();
    let filter = days_between(from, day)
        .and(standing_reads(work.position, work.published_at))
        .and(col("interval_end").in_list(ends.iter().map(instant).collect(), false))
        .and(col("meter_id").in_list(ids, false));
    let rows = work.snapshot.rows(&table::INTERVAL_READS, Some(filter))?;
    let mut reads = Reads::new();
    for batch in rows.columns(&COLUMNS)?.collect().await? {
        read_lines(work, &batch, &mut reads)?;
    }
    for lines in reads.values_mut() {
        lines.sort_by_key(|line| line.position);
    }
    Ok(reads)
}

/// What came between two versions of a balance: after the first of each pair, up to the second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Between {
    /// Log records.
    pub(super) positions: (Position, Position),
    /// Moments of publication.
    pub(super) moments: (UtcMicros, UtcMicros),
}

impl Between {
    /// Said by a record between.
    pub(super) fn said(self) -> Expr {
        let number = |position: Position| lit(i64::try_from(position.0).unwrap_or(i64::MAX));
        let (since, through) = self.positions;
        col("position")
            .gt(number(since))
            .and(col("position").lt_eq(number(through)))
    }

    fn published(self) -> Expr {
        let (since, through) = self.moments;
        let column = || col("published_at");
        column()
            .gt(instant(&since.0))
            .and(column().lt_eq(instant(&through.0)))
    }
}

/// The reads and estimates of some meters and quarters that became valid between two versions, in the order of the log.
pub(super) async fn reads_between(
    work: &Work,
    meters: &BTreeSet<&String>,
    (last, quarters): (Quarter, u32),
    between: Between,
) -> Result<Vec<String>, VerifyError> {
    let zone = &work.settings.zone;
    let ends: Vec<i64> = (0..quarters).map(|before| last.minus(before).end().0).collect();
    let from = last.minus(quarters.saturating_sub(1));
    let came = (!is_derived()).and(between.said());
    let came = came.or(is_derived().and(between.published()));
    let filter = days_between(zone.day_of_interval(from.end()), zone.day_of_interval(last.end()))
        .and(came)
        .and(col("version").gt(lit(0_i64)))
        .and(col("interval_end").in_list(ends.iter().map(instant).collect(), false))
        .and(col("meter_id").in_list(meters.iter().map(|id| lit(id.as_str())).collect(), false));
    let rows = work.snapshot.rows(&table::INTERVAL_READS, Some(filter))?;
    let mut reads = Reads::new();
    for batch in rows.columns(&COLUMNS)?.collect().await? {
        read_lines(work, &batch, &mut reads)?;
    }
    let mut lines: Vec<(i64, String)> = Vec::new();
    for ((meter, end), of_cell) in reads {
        let end = UtcMicros(end).to_rfc3339(zone);
        let text = |line: Line| (line.position, format!("{meter} {end}: {}", line.text));
        lines.extend(of_cell.into_iter().map(text));
    }
    lines.sort();
    Ok(lines.into_iter().map(|(_, text)| text).collect())
}

fn instant(end: &i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(*end), Some("UTC".into())))
}

/// The quarters whose reads go into a balance.
fn quarters(basis: &Basis) -> impl Iterator<Item = Quarter> {
    let quarter = basis.quarter;
    (0..basis.roster.minutes.quarters())
        .rev()
        .map(move |before| quarter.minus(before))
}

fn read_lines(work: &Work, batch: &RecordBatch, reads: &mut Reads) -> Result<(), VerifyError> {
    let zone = &work.settings.zone;
    let (meter, end) = (
        texts(TABLE, batch, "meter_id")?,
        times(TABLE, batch, "interval_end")?,
    );
    let (import, export) = (
        array::<Int64Type>(TABLE, batch, "import_wh")?,
        array::<Int64Type>(TABLE, batch, "export_wh")?,
    );
    let (quality, revision) = (
        texts(TABLE, batch, "quality")?,
        array::<Int32Type>(TABLE, batch, "revision")?,
    );
    let (version, position) = (
        array::<Int64Type>(TABLE, batch, "version")?,
        array::<Int64Type>(TABLE, batch, "position")?,
    );
    let (received, source) = (
        times(TABLE, batch, "received_at")?,
        texts(TABLE, batch, "source")?,
    );
    for row in 0..batch.num_rows() {
        let exported = if export.is_valid(row) {
            format!(", export {} Wh", export.value(row))
        } else {
            String::new()
        };
        let text = format!(
            "import {} Wh{exported}, {}, revision {}, version {}, log record {}, received {} from {}",
            import.value(row),
            quality.value(row),
            revision.value(row),
            version.value(row),
            position.value(row),
            UtcMicros(received.value(row)).to_rfc3339(zone),
            source.value(row),
        );
        let key = (meter.value(row).to_owned(), end.value(row));
        let position = position.value(row);
        reads.entry(key).or_default().push(Line { position, text });
    }
    Ok(())
}

/// The roster in a line, then the reads: what was corrected first, then what came last; what is missing at the end.
fn lines(work: &Work, basis: &Basis, reads: &Reads) -> Vec<String> {
    let zone = &work.settings.zone;
    let id = |node: NodeIx| work.network.node(node).map_or("?", |node| node.id.as_str());
    let roster = &basis.roster;
    let mut lines = vec![format!(
        "feeder {} with {} DTs, {} meters and {} unmetered connections, by the network of {}",
        id(roster.feeder),
        roster.dts.len(),
        roster.member_count(),
        roster.unmetered.len(),
        basis.quarter.begin().to_rfc3339(zone),
    )];
    let mut found: Vec<(bool, i64, String)> = Vec::new();
    for member in &basis.members {
        let Some(meter) = work.network.meter(member.meter) else {
            continue;
        };
        let name = format!(
            "{} ({}, x{})",
            meter.id(),
            member.role.as_str(),
            f64::from(member.multiplier)
        );
        for quarter in quarters(basis) {
            let end = quarter.end();
            let versions = reads
                .get(&(meter.id().to_owned(), end.0))
                .map_or(&[][..], Vec::as_slice);
            if versions.is_empty() && (quarter == basis.quarter || member.minutes < roster.minutes) {
                found.push((false, -1, format!("{name} {}: no read", end.to_rfc3339(zone))));
            }
            for line in versions {
                let text = format!("{name} {}: {}", end.to_rfc3339(zone), line.text);
                found.push((versions.len() > 1, line.position, text));
            }
        }
    }
    found.sort_by(|one, other| {
        (other.0, other.1)
            .cmp(&(one.0, one.1))
            .then_with(|| one.2.cmp(&other.2))
    });
    let more = found.len().saturating_sub(LINES_MAX);
    lines.extend(found.into_iter().take(LINES_MAX).map(|(_, _, text)| text));
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}
