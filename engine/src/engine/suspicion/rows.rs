//! Rows of `suspicions`: from findings, and back from the table.

use std::collections::{BTreeMap, HashMap};

use arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch},
    datatypes::DataType,
    error::ArrowError,
};
use gridtally_schemas::{Day, UtcMicros, table};

use crate::{
    balance::ratio,
    outbox::Columns,
    suspicion::{Finding, Period, Subject},
    world::{
        billing::watt_hours,
        restore::{
            RestoreError,
            columns::{Rows, known},
        },
        suspicion::PlannedPlace,
    },
};

/// A sign with whom it is of and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspicion {
    /// First day of the month.
    pub month: Day,
    /// The DT, or the feeder of an HT consumer.
    pub node_id: String,
    /// The feeder.
    pub feeder_id: String,
    /// The sign.
    pub finding: Finding,
}

/// What the table says of a sign now.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    version: i64,
    stands: bool,
    pub(crate) suspicion: Suspicion,
}

impl Standing {
    /// The sign, if it is seen.
    pub(crate) fn seen(self) -> Option<Suspicion> {
        self.stands.then_some(self.suspicion)
    }
}

/// A row to write.
#[derive(Debug)]
pub(super) struct Change {
    suspicion: Suspicion,
    stands: bool,
    version: i64,
    reason: Option<&'static str>,
}

impl Suspicion {
    pub(super) fn of(finding: Finding, (place, feeder_id): (&PlannedPlace, &str), period: Period) -> Self {
        Self {
            month: period.first,
            node_id: place.node_id.clone(),
            feeder_id: feeder_id.to_owned(),
            finding,
        }
    }

    /// Its id: month, sign and DT or meter.
    #[must_use]
    pub fn id(&self) -> String {
        let of = match &self.finding.subject {
            Subject::Dt => &self.node_id,
            Subject::Consumer { meter_id, .. } => meter_id,
        };
        format!("{}/{}/{of}", self.month, self.finding.sign)
    }

    fn consumer(&self) -> Option<(&str, &str)> {
        match &self.finding.subject {
            Subject::Dt => None,
            Subject::Consumer {
                consumer_id,
                meter_id,
            } => Some((consumer_id, meter_id)),
        }
    }
}

/// What differs from the table, by id.
pub(super) fn changes(
    mut found: BTreeMap<String, Suspicion>,
    standing: HashMap<String, Standing>,
) -> Vec<Change> {
    let mut changes = BTreeMap::new();
    for (id, before) in standing {
        let next = |suspicion: Suspicion, stands: bool, reason: &'static str| Change {
            suspicion,
            stands,
            version: before.version + 1,
            reason: Some(reason),
        };
        let change = match (found.remove(&id), before.stands) {
            (Some(now), true) if now == before.suspicion => continue,
            (None, false) => continue,
            (Some(now), true) => next(now, true, "judged anew"),
            (Some(now), false) => next(now, true, "seen again"),
            (None, true) => next(before.suspicion.clone(), false, "not seen any more"),
        };
        changes.insert(id, change);
    }
    let first = |suspicion: Suspicion| Change {
        suspicion,
        stands: true,
        version: 1,
        reason: None,
    };
    changes.extend(found.into_iter().map(|(id, suspicion)| (id, first(suspicion))));
    changes.into_values().collect()
}

/// The rows to commit.
pub(super) fn batch(changes: &[Change], now: UtcMicros) -> Result<RecordBatch, ArrowError> {
    let each = || changes.iter().map(|change| &change.suspicion);
    let found = || each().map(|suspicion| &suspicion.finding);
    let share = |of: fn(&Finding) -> i64| found().map(move |found| Some(ratio(of(found), 1_000)));
    let stands: BooleanArray = changes.iter().map(|change| Some(change.stands)).collect();
    Columns::new(&table::SUSPICIONS, changes.len())
        .text("suspicion_id", each().map(|suspicion| Some(suspicion.id())))
        .day("month", each().map(|suspicion| suspicion.month))
        .text("kind", each().map(|suspicion| Some(kind(suspicion))))
        .text(
            "node_id",
            each().map(|suspicion| Some(suspicion.node_id.as_str())),
        )
        .text(
            "feeder_id",
            each().map(|suspicion| Some(suspicion.feeder_id.as_str())),
        )
        .text(
            "consumer_id",
            each().map(|suspicion| suspicion.consumer().map(|(consumer, _)| consumer)),
        )
        .text(
            "meter_id",
            each().map(|suspicion| suspicion.consumer().map(|(_, meter)| meter)),
        )
        .text("sign", found().map(|found| Some(found.sign.as_str())))
        .number("value", share(|found| found.value_permille))
        .number(
            "threshold",
            found().map(|found| found.threshold_permille.map(|permille| ratio(permille, 1_000))),
        )
        .number("strength", share(|found| found.strength_permille))
        .number("weight", share(|found| found.sign.weight_permille()))
        .whole("energy_wh", found().map(|found| found.energy_wh))
        .whole("bound_wh", found().map(|found| Some(found.bound_wh)))
        .number(
            "coverage_pct",
            found().map(|found| Some(ratio(found.coverage_permille, 10))),
        )
        .day("first_day", found().map(|found| found.period.first))
        .day("last_day", found().map(|found| found.period.last))
        .text("evidence", found().map(|found| Some(found.evidence.as_str())))
        .set("stands", std::sync::Arc::new(stands))
        .whole("version", changes.iter().map(|change| Some(change.version)))
        .time("published_at", changes.iter().map(|_| Some(now)))
        .text("reason", changes.iter().map(|change| change.reason))
        .finish()
}

fn kind(suspicion: &Suspicion) -> &'static str {
    match suspicion.finding.subject {
        Subject::Dt => "dt",
        Subject::Consumer { .. } => "consumer",
    }
}

/// Adds rows of the table to what stands, in any order.
pub(crate) fn standing(
    batch: &RecordBatch,
    stands: &mut HashMap<String, Standing>,
) -> Result<(), RestoreError> {
    let rows = Rows::of(&table::SUSPICIONS, batch);
    let [id, node, feeder] = [
        rows.text("suspicion_id")?,
        rows.text("node_id")?,
        rows.text("feeder_id")?,
    ];
    let [consumer, meter, sign] = [
        rows.text("consumer_id")?,
        rows.text("meter_id")?,
        rows.text("sign")?,
    ];
    let [value, threshold, strength] = [
        rows.number("value")?,
        rows.number("threshold")?,
        rows.number("strength")?,
    ];
    let [energy, bound, version] = [
        rows.whole("energy_wh")?,
        rows.whole("bound_wh")?,
        rows.whole("version")?,
    ];
    let [month, first, last] = [rows.day("month")?, rows.day("first_day")?, rows.day("last_day")?];
    let (coverage, evidence) = (rows.number("coverage_pct")?, rows.text("evidence")?);
    let seen = rows.column("stands", &DataType::Boolean)?;
    let seen = seen.as_boolean();
    for row in 0..batch.num_rows() {
        let version = version.value(row);
        if stands
            .get(id.value(row))
            .is_some_and(|held| held.version >= version)
        {
            continue;
        }
        let subject = if consumer.is_null(row) {
            Subject::Dt
        } else {
            Subject::Consumer {
                consumer_id: consumer.value(row).to_owned(),
                meter_id: meter.value(row).to_owned(),
            }
        };
        let finding = Finding {
            sign: rows.parse("sign", sign.value(row))?,
            subject,
            // Thousandths, as they were written.
            value_permille: watt_hours(value.value(row)),
            threshold_permille: known(&threshold, row, |row| watt_hours(threshold.value(row))),
            strength_permille: watt_hours(strength.value(row)),
            energy_wh: known(&energy, row, |row| energy.value(row)),
            bound_wh: bound.value(row),
            coverage_permille: watt_hours(coverage.value(row) / 100.0),
            period: Period {
                first: Day(first.value(row)),
                last: Day(last.value(row)),
            },
            evidence: evidence.value(row).to_owned(),
        };
        let suspicion = Suspicion {
            month: Day(month.value(row)),
            node_id: node.value(row).to_owned(),
            feeder_id: feeder.value(row).to_owned(),
            finding,
        };
        let held = Standing {
            version,
            stands: seen.value(row),
            suspicion,
        };
        stands.insert(id.value(row).to_owned(), held);
    }
    Ok(())
}
