//! One day: its reads, its balances from the SQL, and what is published of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use gridtally_schemas::Day;
use hashbrown::HashSet;
use tokio::task::JoinSet;

use super::{
    Progress, VerifyError,
    cells::{Cells, Frame},
    compare::{Computed, Counted, Horizon, compare},
    differences::Differences,
    published::{Cells as _, Kind, Published, When},
    reads::{self, Wanted},
    selection::{Unit, Work},
};
use crate::{
    balance::{self, MemberReads, Said},
    network::{Member, NodeIx, Roster},
    state::{Quality, Quarter},
    world::{
        Sums,
        publish::{DayValues, DtValues, FeederValues},
    },
};

/// Member reads of one run of the SQL.
const ROWS_OF_RUN: usize = 200_000;

/// What was compared and left out, over all days.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Rows of `dt_balance`, `feeder_balance`, `node_balance_daily`.
    pub(super) compared: [u64; 3],
    pub(super) open: u64,
}

impl Found {
    pub(super) fn plus(&mut self, other: &Self) {
        for (sum, more) in self.compared.iter_mut().zip(other.compared) {
            *sum += more;
        }
        self.open += other.open;
    }

    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    fn count(&mut self, kind: Kind, counted: Counted) {
        let at = match kind {
            Kind::Dt => 0,
            Kind::Feeder => 1,
            Kind::Day => 2,
        };
        if let Some(compared) = self.compared.get_mut(at) {
            *compared += counted.compared;
        }
        self.open += counted.open;
    }
}

/// The outcome of one day.
#[derive(Debug, Default)]
pub(super) struct OfDay {
    pub(super) differences: Differences,
    pub(super) counts: Found,
}

/// An interval of a feeder.
type Interval = (Quarter, Arc<Roster>);

/// The sums of every node, in order of node.
type DaySums = BTreeMap<NodeIx, Sums>;

pub(super) async fn verify_day(
    work: &Arc<Work>,
    day: Day,
    progress: &Progress,
) -> Result<OfDay, VerifyError> {
    let mut of_day = OfDay::default();
    let mut sums = DaySums::new();
    for (at, unit) in work.units.iter().enumerate() {
        verify_unit(work, day, (at, unit), progress, (&mut of_day, &mut sums)).await?;
        let feeders = u64::try_from(unit.feeders.len()).unwrap_or(0);
        progress.done.fetch_add(feeders, Ordering::Relaxed);
    }
    let wants = |node: Option<NodeIx>| match node {
        Some(node) => work.compares(node),
        None => work.units.iter().any(|unit| unit.has_others),
    };
    let published = Published::read(work, Kind::Day, day, &wants, &mut of_day.differences).await?;
    let threshold = work.settings.coverage_threshold_pct;
    let end = *work.quarters_of(day).end();
    let is_closed = end <= work.closed_through;
    let of_node = |(node, sums): (NodeIx, Sums)| Computed {
        node,
        when: When::from(day.0),
        cells: DayValues::of(&sums, threshold).cells(),
    };
    let computed = sums
        .into_iter()
        .filter(|(node, _)| is_closed && work.compares(*node))
        .map(of_node)
        .collect();
    let passed = |is_past: bool| if is_past { When::MAX } else { When::MIN };
    let horizon = Horizon {
        closed: passed(is_closed),
        settled: passed(end <= work.settled_through),
    };
    let counted = compare(work, &published, computed, horizon, &mut of_day.differences);
    of_day.counts.count(Kind::Day, counted);
    Ok(of_day)
}

async fn verify_unit(
    work: &Arc<Work>,
    day: Day,
    (at, unit): (usize, &Unit),
    progress: &Progress,
    (of_day, sums): (&mut OfDay, &mut DaySums),
) -> Result<(), VerifyError> {
    let intervals = intervals(work, unit, day);
    let frame = Frame::new(meters(work, unit, &intervals), work.quarters_of(day));
    let wanted = Arc::new(Wanted {
        day,
        unit: at,
        frame,
        has_others: unit.has_others,
    });
    let (cells, found) = reads::read(work, &wanted, progress).await?;
    of_day.differences.append(found);
    let computed = compute(work, intervals, cells, wanted).await?;
    let threshold = work.settings.coverage_threshold_pct;
    let (mut dts, mut feeders) = (Vec::new(), Vec::new());
    for (feeder, quarter, interval) in computed {
        let (when, minutes) = (When::from(quarter.0), interval.minutes.minutes());
        let of_feeder = Sums::of_feeder(&interval.feeder);
        for node in interval.ancestors.iter().chain([&feeder]) {
            sums.entry(*node).or_default().plus(&of_feeder);
        }
        for figures in &interval.dts {
            sums.entry(figures.dt).or_default().plus(&Sums::of_dt(&figures));
            let cells = DtValues::of(&figures, minutes, threshold).cells();
            let node = figures.dt;
            dts.push(Computed { node, when, cells });
        }
        let cells = FeederValues::of(&interval.feeder, minutes, threshold).cells();
        let node = feeder;
        feeders.push(Computed { node, when, cells });
    }
    let horizon = Horizon {
        closed: When::from(work.closed_through.0),
        settled: When::from(work.settled_through.0),
    };
    let wants = |node: Option<NodeIx>| match node {
        Some(node) => work.compares(node) && work.unit_of(node) == Some(at),
        None => unit.has_others,
    };
    for (kind, mut computed) in [(Kind::Dt, dts), (Kind::Feeder, feeders)] {
        computed.retain(|row| work.compares(row.node));
        computed.sort_unstable_by_key(|row| (row.node, row.when));
        let published = Published::read(work, kind, day, &wants, &mut of_day.differences).await?;
        let counted = compare(work, &published, computed, horizon, &mut of_day.differences);
        of_day.counts.count(kind, counted);
    }
    Ok(())
}

/// The intervals that the feeders' balances can have in a day.
fn intervals(work: &Work, unit: &Unit, day: Day) -> Vec<Interval> {
    let quarters = work.quarters_of(day);
    let mut intervals = Vec::new();
    for feeder in &unit.feeders {
        for quarter in (quarters.start().0..=quarters.end().0).map(Quarter) {
            let roster = work.roster(*feeder, quarter);
            if roster.is_on_grid(quarter) && !roster.is_empty() {
                intervals.push((quarter, roster));
            }
        }
    }
    intervals
}

/// The meters of a unit, each once, neighbours of a roster together.
fn meters(work: &Work, unit: &Unit, intervals: &[Interval]) -> Vec<crate::network::MeterIx> {
    let mut seen = HashSet::new();
    let mut meters = Vec::new();
    let mut last: Option<&Arc<Roster>> = None;
    for (_, roster) in intervals {
        if last.is_some_and(|last| Arc::ptr_eq(last, roster)) {
            continue;
        }
        last = Some(roster);
        meters.extend(
            roster
                .members()
                .map(|member| member.meter)
                .filter(|meter| seen.insert(*meter)),
        );
    }
    // Those that count in no balance that day are read too: their versions are to be right all the same.
    let of_feeders = unit
        .feeders
        .iter()
        .flat_map(|feeder| work.network.meters_ever_on(*feeder));
    meters.extend(of_feeders.filter(|meter| seen.insert(*meter)));
    if unit.has_others {
        meters.extend(&work.without_place);
    }
    meters
}

/// What the SQL gives for the intervals that are closed and of a day in which their feeder was heard.
async fn compute(
    work: &Arc<Work>,
    intervals: Vec<Interval>,
    cells: Cells,
    wanted: Arc<Wanted>,
) -> Result<Vec<balance::Computed>, VerifyError> {
    let look = Look { cells, wanted };
    let mut heard = HashSet::new();
    for (quarter, roster) in &intervals {
        if !heard.contains(&roster.feeder)
            && roster
                .members()
                .any(|member| look.is_heard(roster, *quarter, &member))
        {
            heard.insert(roster.feeder);
        }
    }
    let due: Vec<Interval> = intervals
        .into_iter()
        .filter(|(quarter, roster)| *quarter <= work.closed_through && heard.contains(&roster.feeder))
        .collect();
    let mut running = JoinSet::new();
    for run in runs(&due).collect::<Vec<_>>() {
        // Closed only when the whole work is dropped, and then nobody waits.
        let permit = Arc::clone(&work.runs).acquire_owned().await;
        let permit = permit.map_err(|_| VerifyError::Panicked)?;
        let mut members = MemberReads::default();
        for (quarter, roster) in run {
            let said = |member: &Member| look.said(roster, *quarter, member);
            members.gather_said(&work.settings.zone, roster, *quarter, said);
        }
        let of_run = Arc::clone(work);
        running.spawn(async move {
            let computed = of_run.sql.run(members).await;
            drop(permit);
            computed
        });
    }
    let mut computed = Vec::with_capacity(due.len());
    while let Some(run) = running.join_next().await {
        let run = run.map_err(|_| VerifyError::Panicked)?;
        computed.extend(run.map_err(VerifyError::Balance)?);
    }
    Ok(computed)
}

/// The intervals in runs of about [`ROWS_OF_RUN`] member reads.
fn runs(due: &[Interval]) -> impl Iterator<Item = &[Interval]> {
    let mut rest = due;
    std::iter::from_fn(move || {
        let mut rows = 0_usize;
        let length = rest
            .iter()
            .take_while(|(_, roster)| {
                let begins = rows == 0;
                rows += roster.member_count().max(1);
                begins || rows <= ROWS_OF_RUN
            })
            .count();
        let (run, after) = rest.split_at_checked(length)?;
        rest = after;
        (!run.is_empty()).then_some(run)
    })
}

/// What a member said, from the cells.
struct Look {
    cells: Cells,
    wanted: Arc<Wanted>,
}

impl Look {
    /// Whether somebody said a value: an estimate makes no balance.
    fn is_heard(&self, roster: &Roster, quarter: Quarter, member: &Member) -> bool {
        let said = self.said(roster, quarter, member);
        said.present > said.estimated
    }

    /// A 15-minute meter's two reads make its part of a 30-minute balance. What a meter says while no row of it is in force counts
    /// in nothing: it is expected, and absent.
    fn said(&self, roster: &Roster, quarter: Quarter, member: &Member) -> Said {
        let reads: u32 = if member.minutes < roster.minutes { 2 } else { 1 };
        let mut said = Said {
            expected: i64::from(reads),
            ..Said::default()
        };
        let Some(slot) = self.wanted.frame.slot(member.meter).filter(|_| member.in_service) else {
            return said;
        };
        for before in 0..reads {
            let place = self.wanted.frame.place(slot, quarter.minus(before));
            if let Some((quality, import_wh, export_wh)) = place.and_then(|place| self.cells.get(place)) {
                said.import_wh += i64::from(import_wh);
                said.export_wh += i64::from(export_wh);
                said.present += 1;
                said.estimated += i64::from(quality == Quality::Estimated);
            }
        }
        said
    }
}
