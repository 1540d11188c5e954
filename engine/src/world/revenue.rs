//! Each feeder's revenue by month ([`crate::revenue`]): from daily balances, bills and the discom's accounts, as the picture has them.
//!
//! ```text
//! bill ─▶ feeder of the consumer then ─▶ sums by feeder and month ─┐
//! feeder's daily balances ─────────────────────────────────────────┼─▶ FeederMonth ─▶ feeder_revenue_monthly
//! accounts of two years · loss target of the feeder · other months ┘
//! ```
//!
//! **Which feeder.** A bill is not divided: it counts on the feeder above which its consumer hung at the last instant of the month at which
//! he was connected at all; where he had several connections then, by that of the lowest meter.
//!
//! **When.** Sums follow each bill at once, and changes of the network from the month on that they concern. A row is published again when a
//! value of it changes, of the running month at most once a civil day. All of it is a function of what was said, in any order (ORD-1).
//!
//! A month's loss and actual revenue are told once it is over, each of its days has a balance, and the input of enough intervals is known
//! (`balance.coverage_threshold_pct`): with a part of the input they would be none.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_schemas::{
    ConsumerId, Day, UtcMicros,
    billing::{DiscomAccountsRow, FinancialYear},
    network::{Metering, NodeKind},
    time::EARLIEST,
};
use hashbrown::HashMap;

use super::{
    World,
    billing::Counted,
    publish::{Due, Published, Row, Scope, digest},
};
use crate::{
    compensation::calendar::{Period, financial_year},
    network::{Node, NodeIx},
    outbox::Origin,
    revenue::{Amounts, Billed, FeederMonth, Grounds, Input, Realised, Total, median, year_of},
    state::Quarter,
};

mod rows;
#[cfg(test)]
pub(in crate::world) mod tests;

pub(in crate::world) use rows::batch;
pub(crate) use rows::{RevenueValues, accounts_batch};

/// What is kept of revenue.
#[derive(Debug, Default)]
pub(super) struct Revenue {
    /// Bills by feeder and first day of the month.
    billed: HashMap<NodeIx, BTreeMap<Day, Billed>>,
    /// Bills from this month on are to be counted anew: the network changed.
    uncounted_from: Option<Day>,
    /// Accounts by year, with when the row that stands was recorded.
    accounts: BTreeMap<FinancialYear, (UtcMicros, DiscomAccountsRow)>,
    published: HashMap<(NodeIx, Day), Published>,
    /// Months of a feeder whose bills changed.
    rebilled: BTreeSet<(NodeIx, Day)>,
    /// What may differ from the table.
    unpublished: BTreeSet<(NodeIx, Day)>,
    /// The last month of which it was noted that it is over.
    over_through: Option<Day>,
}

impl Revenue {
    /// Spreads changes of bills: a month's financial year compares its other months with it, and the next year's rates are carried on from
    /// it.
    fn spread_rebilled(&mut self) {
        for (feeder, month) in std::mem::take(&mut self.rebilled) {
            let months =
                std::iter::successors(Some(year_of(month)), |month| Some(Period::Month.after(*month)));
            self.unpublished
                .extend(months.take(24).map(|month| (feeder, month)));
        }
    }

    fn note_all(&mut self) {
        self.unpublished.extend(self.published.keys());
        let billed = self.billed.iter();
        let months = billed.flat_map(|(feeder, months)| months.keys().map(|month| (*feeder, *month)));
        self.rebilled.extend(months);
    }

    fn count(&mut self, feeder: NodeIx, month: Day, billed: &Billed, sign: i64) {
        let months = self.billed.entry(feeder).or_default();
        let sums = months.entry(month).or_default();
        sums.add(billed, sign);
        if sums.bills == 0 {
            months.remove(&month);
        }
        self.rebilled.insert((feeder, month));
    }

    fn billed(&self, feeder: NodeIx, month: Day) -> Option<Billed> {
        self.billed.get(&feeder)?.get(&month).copied()
    }

    fn realised(&self, year: FinancialYear) -> Option<Realised> {
        Realised::of(&self.accounts.get(&year)?.1)
    }
}

/// A feeder's month as others see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeederMonthView {
    /// First day of the month.
    pub month: Day,
    /// Its figures.
    pub figures: FeederMonth,
    /// Number of its last published version; 0: none.
    pub version: i64,
}

impl World {
    /// Notes that the network changed from an instant on.
    pub(super) fn note_revenue_network(&mut self, since: UtcMicros) {
        let month = self.settings.zone.day_of(since.max(EARLIEST)).first_of_month();
        let revenue = &mut self.revenue;
        revenue.uncounted_from = Some(revenue.uncounted_from.map_or(month, |from| from.min(month)));
    }

    /// Counts a bill that changed from what was counted of it before.
    pub(super) fn count_bill(&mut self, consumer: &ConsumerId, month: Day, changed: &Counted) {
        if self.revenue.uncounted_from.is_some_and(|from| from <= month) {
            return;
        }
        let Some((feeder, metering)) = self.feeder_billed(consumer, month) else {
            return;
        };
        let limits = self.settings.revenue.bands;
        let billed = |amounts: &Amounts| Billed::of(amounts, metering, &limits);
        if let Some(before) = &changed.before {
            self.revenue.count(feeder, month, &billed(before), -1);
        }
        self.revenue.count(feeder, month, &billed(&changed.now), 1);
    }

    /// Counts the bills anew that changes of the network concern.
    pub(super) fn advance_revenue(&mut self) {
        let Some(from) = self.revenue.uncounted_from.take() else {
            return;
        };
        let mut billed: HashMap<NodeIx, BTreeMap<Day, Billed>> = HashMap::new();
        let bills = std::mem::take(&mut self.bills);
        for (consumer, month, amounts) in bills.since(from) {
            if let Some((feeder, metering)) = self.feeder_billed(consumer, month) {
                let sums = billed.entry(feeder).or_default().entry(month).or_default();
                sums.add(&Billed::of(&amounts, metering, &self.settings.revenue.bands), 1);
            }
        }
        self.bills = bills;
        let revenue = &mut self.revenue;
        let mut changed: Vec<(NodeIx, Day)> = Vec::new();
        for (feeder, months) in &mut revenue.billed {
            let before = months.split_off(&from);
            let now = billed.remove(feeder).unwrap_or_default();
            let months_of_both = before.keys().chain(now.keys());
            let differ = months_of_both.filter(|month| before.get(month) != now.get(month));
            changed.extend(differ.map(|month| (*feeder, *month)));
            months.extend(now);
        }
        for (feeder, now) in billed {
            changed.extend(now.keys().map(|month| (feeder, *month)));
            revenue.billed.insert(feeder, now);
        }
        revenue.rebilled.extend(changed);
        // Loss targets are master data too.
        let published = revenue.published.keys().filter(|(_, month)| *month >= from);
        revenue.unpublished.extend(published.copied().collect::<Vec<_>>());
        // Feeders may have hung elsewhere.
        self.accounting.note_since(from);
    }

    /// Applies the discom's accounts.
    pub(super) fn apply_accounts(&mut self, origin: &Origin, rows: Vec<DiscomAccountsRow>) {
        for row in rows {
            if self.merge_accounts(origin.received_at, &row) {
                self.counts.master_rows_changed += 1;
                self.outbox.accounts.push((row, origin.clone()));
            } else {
                self.counts.master_rows_known += 1;
            }
        }
    }

    /// Merges a row; tells whether it is to be kept: it changes what stands, or outweighs what was recorded before it.
    fn merge_accounts(&mut self, recorded_at: UtcMicros, row: &DiscomAccountsRow) -> bool {
        let content = |row: &DiscomAccountsRow| serde_json::to_string(row).unwrap_or_default();
        if let Some((held_at, held)) = self.revenue.accounts.get(&row.year)
            && (recorded_at, content(row)) <= (*held_at, content(held))
        {
            return false;
        }
        let row_and_time = (recorded_at, row.clone());
        let before = self.revenue.accounts.insert(row.year, row_and_time);
        if before.is_none_or(|(_, before)| before != *row) {
            self.revenue.note_all();
        }
        true
    }

    /// The feeder on which a consumer's bill of a month counts, and how he was metered then.
    fn feeder_billed(&self, consumer: &ConsumerId, month: Day) -> Option<(NodeIx, Metering)> {
        let zone = &self.settings.zone;
        let (begin, end) = (zone.start_of(month), zone.start_of(Period::Month.after(month)));
        let on = |at: UtcMicros| {
            let rows = self.connections_of(consumer).into_iter();
            let rows = rows.filter_map(|connection| connection.history().at(at));
            rows.min_by_key(|row| row.meter_id())
        };
        let rows = self.connections_of(consumer).into_iter();
        let rows = rows.flat_map(|connection| connection.history().rows());
        let ends = rows.filter_map(|row| row.valid_to);
        // The end of the month, and before that the ends of his connections within it, the last first.
        let mut ends: Vec<UtcMicros> = ends.filter(|until| *until > begin && *until < end).collect();
        ends.push(end);
        ends.sort_unstable_by(|one, other| other.cmp(one));
        let (row, at) = ends
            .into_iter()
            .map(|end| end.plus(-1))
            .find_map(|at| Some((on(at)?, at)))?;
        let feeder = self.feeder_at(row.node?, at)?;
        Some((feeder, row.metering))
    }

    /// The feeder that a node is, or hangs on, at an instant.
    pub(super) fn feeder_at(&self, node: NodeIx, at: UtcMicros) -> Option<NodeIx> {
        let is_feeder =
            |node: &NodeIx| self.network.node(*node).and_then(Node::kind) == Some(NodeKind::Feeder);
        self.network.at_and_above(node, at).find(is_feeder)
    }

    /// The loss target of a node at an instant: its own, else that of the nearest node above that has one.
    fn allowable_loss_at(&self, node: NodeIx, at: UtcMicros) -> Option<f64> {
        let mut line = self.network.at_and_above(node, at);
        line.find_map(|node| self.network.node(node)?.history.at(at)?.allowable_loss_pct)
    }

    fn feeder_input(&self, feeder: NodeIx, month: Day) -> Input {
        let mut input = Input::default();
        let days = self.days.get(&feeder);
        for sums in days
            .into_iter()
            .flat_map(|days| days.range(month..Period::Month.after(month)))
        {
            input.add(&Input {
                days: 1,
                eif_wh: sums.1.input_wh,
                intervals_expected: sums.1.intervals_expected,
                intervals_computed: sums.1.intervals_computed,
            });
        }
        input
    }

    pub(super) fn is_month_over(&self, month: Day) -> bool {
        let end = self.settings.zone.start_of(Period::Month.after(month));
        Quarter::ending(end).is_some_and(|end| end <= self.closed_through)
    }

    /// A feeder's month, as of the bills counted so far.
    pub(super) fn feeder_month(&self, feeder: NodeIx, month: Day) -> FeederMonth {
        let input = self.feeder_input(feeder, month);
        let revenue = &self.revenue;
        let year = year_of(month);
        let year_before = year_of(Day(year.0 - 1));
        let months = |first: Day| {
            let months = revenue.billed.get(&feeder);
            months
                .into_iter()
                .flat_map(move |months| months.range(first..Period::Year.after(first)))
        };
        let mut before = Billed::default();
        months(year_before).for_each(|(_, billed)| before.add(billed, 1));
        let others = months(year).filter(|(other, _)| **other != month);
        let others = others.filter_map(|(_, billed)| billed.abr());
        let arr_before = revenue.realised(financial_year(year_before));
        let arr = revenue.realised(financial_year(year));
        let rules = &self.settings.revenue;
        let is_covered = input
            .coverage_pct()
            .is_some_and(|coverage| coverage >= self.settings.coverage_threshold_pct);
        let has_all_days = input.days == i64::from(month.days_in_month());
        let last = self.settings.zone.start_of(Period::Month.after(month)).plus(-1);
        let grounds = Grounds {
            abr_before: before.abr(),
            carried: arr_before
                .zip(arr)
                .and_then(|(before, now)| rules.carried(before.arr, now.arr)),
            allowable_loss_pct: self.allowable_loss_at(feeder, last),
            median_abr: median(others.collect()),
            is_whole: is_covered && has_all_days && self.is_month_over(month),
        };
        FeederMonth::of(input, revenue.billed(feeder, month), &grounds, rules)
    }

    /// A feeder's months from `from` to before `to` of which something is known, in order.
    #[must_use]
    pub fn feeder_months(&self, feeder: NodeIx, from: Day, to: Day) -> Vec<FeederMonthView> {
        let mut months: BTreeSet<Day> = BTreeSet::new();
        let days = self.days.get(&feeder);
        let days = days.into_iter().flat_map(|days| days.range(from..to));
        months.extend(days.map(|(day, _)| day.first_of_month()));
        let billed = self.revenue.billed.get(&feeder);
        let billed = billed.into_iter().flat_map(|months| months.range(from..to));
        months.extend(billed.map(|(month, _)| *month));
        let months = months.into_iter().filter(|month| (from..to).contains(month));
        let view = |month: Day| FeederMonthView {
            month,
            figures: self.feeder_month(feeder, month),
            version: self
                .revenue
                .published
                .get(&(feeder, month))
                .map_or(0, |published| published.version),
        };
        months.map(view).collect()
    }

    /// The same of a node above, by month: the sums of the feeders that hang below it at the end of each month.
    #[must_use]
    pub fn node_months(&self, node: NodeIx, from: Day, to: Day) -> BTreeMap<Day, Total> {
        let mut feeders = Vec::new();
        self.network.feeders_at_or_below(node, &mut feeders);
        let mut totals: BTreeMap<Day, Total> = BTreeMap::new();
        for feeder in feeders {
            for view in self.feeder_months(feeder, from, to) {
                let last = self
                    .settings
                    .zone
                    .start_of(Period::Month.after(view.month))
                    .plus(-1);
                if self.network.is_at_or_below(feeder, node, last) {
                    totals.entry(view.month).or_default().add(&view.figures);
                }
            }
        }
        totals
    }

    /// Cost of supply and revenue realised in each year whose accounts are known.
    pub fn realised(&self) -> impl Iterator<Item = (FinancialYear, Realised)> {
        let accounts = self.revenue.accounts.iter();
        accounts.filter_map(|(year, (_, row))| Some((*year, Realised::of(row)?)))
    }

    /// Takes what differs from the table, once the days of the checkpoint are taken.
    pub(super) fn take_revenue(&mut self, now: UtcMicros, scope: Scope, due: &mut Due) {
        self.advance_revenue();
        let of_feeders = due.days.iter().filter(|row| row.kind == NodeKind::Feeder);
        for row in of_feeders {
            if let Some(feeder) = self.network.find_node(row.id.as_str()) {
                self.revenue
                    .unpublished
                    .insert((feeder, row.key.first_of_month()));
            }
        }
        self.note_over();
        self.revenue.spread_rebilled();
        for (feeder, month) in std::mem::take(&mut self.revenue.unpublished) {
            self.note_accounting(feeder, month);
            let mut published = self
                .revenue
                .published
                .get(&(feeder, month))
                .copied()
                .unwrap_or_default();
            let is_today = self.settings.zone.day_of(published.at) == self.settings.zone.day_of(now);
            if scope == Scope::Due && published.version > 0 && is_today && !self.is_month_over(month) {
                self.revenue.unpublished.insert((feeder, month));
                continue;
            }
            let values = RevenueValues::of(&self.feeder_month(feeder, month));
            if values.is_nothing() && published.version == 0 {
                continue;
            }
            let Some(id) = self.network.node(feeder).map(|node| node.id.clone()) else {
                continue;
            };
            if let Some(version) = published.next(digest(&values), false, now) {
                self.revenue.published.insert((feeder, month), published);
                due.revenue.push(Row {
                    id,
                    kind: NodeKind::Feeder,
                    key: month,
                    values,
                    version,
                });
            }
        }
    }

    /// Months that time has ended since: they may be whole now.
    fn note_over(&mut self) {
        let through = self
            .settings
            .zone
            .day_of(self.closed_through.end())
            .first_of_month();
        if self.revenue.over_through == Some(through) {
            return;
        }
        let from = self.revenue.over_through.replace(through);
        let since = |day: &Day| from.is_none_or(|from| *day >= from);
        for (node, days) in &self.days {
            if self.network.node(*node).and_then(|node| node.kind()) == Some(NodeKind::Feeder) {
                let months = days
                    .keys()
                    .filter(|day| since(day))
                    .map(|day| day.first_of_month());
                self.revenue
                    .unpublished
                    .extend(months.map(|month| (*node, month)));
            }
        }
    }

    /// Puts the bills that were read back into the sums at the first look.
    pub(super) fn count_all_bills(&mut self) {
        self.revenue.uncounted_from = Some(Day(i32::MIN));
    }
}
