//! The civil day of a meter, quarter hour by quarter hour, as rules and estimates see it.

use gridtally_schemas::{
    Multiplier,
    network::{MeterRole, Supply},
};

use super::Limits;
use crate::{
    balance::ratio,
    state::{Quarter, Value},
};

/// What is known of a meter while nothing about it changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Context<'a> {
    /// What it measures.
    pub role: MeterRole,
    /// Supply of its connection; `None`: it serves none.
    pub supply: Option<Supply>,
    /// Length of its interval, quarter hours (1 or 2).
    pub quarters: u32,
    /// Its multiplying factor.
    pub multiplier: Multiplier,
    /// What its connection (sanctioned load) or its node (rating at power factor 1) carries, W; `None`: not known.
    pub capacity_w: Option<i64>,
    /// What its category is measured against.
    pub limits: &'a Limits,
}

impl Context<'_> {
    /// Energy on the network of what the meter counted, Wh: rounded half up, as the balance does.
    #[must_use]
    pub fn network_wh(&self, counted_wh: u32) -> i64 {
        (i64::from(counted_wh) * self.multiplier.thousandths() + 500) / 1_000
    }

    /// Energy of one of its intervals at an average power, Wh.
    #[must_use]
    pub fn interval_wh(&self, watts: i64) -> i64 {
        watts.saturating_mul(i64::from(self.quarters)) / 4
    }
}

/// From one quarter of the day on, what is known of the meter; until the next part begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part<'a> {
    /// Position of its first quarter in the day, from 0.
    pub from: usize,
    /// `None`: the meter is not in service.
    pub context: Option<Context<'a>>,
}

/// Import and export register, Wh as the meter counts.
pub type Register = (Option<i64>, Option<i64>);

/// A DT's balance of a day with the coverage that a loss needs, Wh on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalanceOfDay {
    /// What came in.
    pub injected_wh: i64,
    /// Injected less delivered.
    pub loss_wh: i64,
}

/// Import of an interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Import {
    /// Position in the day; `None`: in the day before.
    pub(super) position: Option<usize>,
    /// As the meter counted; `None`: no value.
    pub(super) import_wh: Option<u32>,
    /// Whether the meter is known to have had no supply in it.
    pub(super) is_dark: bool,
}

/// A civil day of a meter. Values are the meter's own or edited ones; an estimate is none.
#[derive(Debug, Clone, Copy)]
pub struct MeterDay<'a> {
    /// Its first quarter.
    pub first: Quarter,
    /// What is known of the meter, in order; the first part begins at 0.
    pub parts: &'a [Part<'a>],
    /// Values of the day before, by the quarter in which their interval ends.
    pub before: &'a [Option<Value>],
    /// Values of the day.
    pub cells: &'a [Option<Value>],
    /// The registers at the midnights that begin and end the day.
    pub registers: [Option<Register>; 2],
    /// Of a consumer, by quarter: whether the meter of its DT counted anything. Empty: there is no such meter.
    pub dt_live: &'a [bool],
    /// By quarter of `before` and then of the day: whether the meter is known to have had no supply in the whole of it, for its consumer or
    /// its node was interrupted. Empty: nothing is known.
    pub dark: &'a [bool],
    /// Of a DT's meter: the DT's balance.
    pub balance: Option<BalanceOfDay>,
    /// Whether the day is old enough for what is missing to be a gap.
    pub gaps_due: bool,
}

impl<'a> MeterDay<'a> {
    /// What is known of the meter in the quarter at `position`; `None`: not in service.
    #[must_use]
    pub fn context_at(&self, position: usize) -> Option<&'a Context<'a>> {
        let part = self.parts.iter().rev().find(|part| part.from <= position)?;
        part.context.as_ref()
    }

    /// The quarter at a position of the day.
    #[must_use]
    pub fn quarter(&self, position: usize) -> Quarter {
        Quarter(
            self.first
                .0
                .saturating_add(u32::try_from(position).unwrap_or(u32::MAX)),
        )
    }

    /// Whether an interval of the meter ends with the quarter at `position`.
    #[must_use]
    pub fn ends_interval(&self, position: usize, context: &Context<'_>) -> bool {
        self.quarter(position).ceil_to(context.quarters) == self.quarter(position)
    }

    /// The intervals that the meter should have, in order: position, what is known of it, value.
    pub fn expected(&self) -> impl Iterator<Item = (usize, &'a Context<'a>, Option<&'a Value>)> {
        let day = *self;
        self.cells.iter().enumerate().filter_map(move |(position, cell)| {
            let context = day.context_at(position)?;
            day.ends_interval(position, context)
                .then_some((position, context, cell.as_ref()))
        })
    }

    /// What is known of the meter in the last part of the day in which it was in service; `None`: it was not.
    #[must_use]
    pub fn last_context(&self) -> Option<&'a Context<'a>> {
        self.parts.iter().rev().find_map(|part| part.context.as_ref())
    }

    /// Whether the meter is known to have had no supply in the whole interval of so many quarters that ends with the quarter at `position`.
    #[must_use]
    pub fn is_dark(&self, position: usize, quarters: u32) -> bool {
        self.is_dark_until(self.before.len() + position, quarters)
    }

    /// As [`Self::is_dark`], by the place in `dark`.
    fn is_dark_until(&self, last: usize, quarters: u32) -> bool {
        let length = usize::try_from(quarters).unwrap_or(1).max(1);
        let Some(first) = (last + 1).checked_sub(length) else {
            return false;
        };
        let interval = self.dark.get(first..=last);
        interval.is_some_and(|interval| interval.iter().all(|dark| *dark))
    }

    /// Import of the day before and of the day, interval by interval.
    pub(super) fn imports(&self, quarters: u32) -> impl Iterator<Item = Import> {
        let day = *self;
        let cells = self.before.iter().chain(self.cells).enumerate();
        let begin = self
            .first
            .minus(u32::try_from(self.before.len()).unwrap_or(u32::MAX));
        cells.filter_map(move |(place, cell)| {
            let quarter = begin.0.wrapping_add(u32::try_from(place).unwrap_or(u32::MAX));
            quarter.is_multiple_of(quarters.max(1)).then(|| Import {
                position: place.checked_sub(day.before.len()),
                import_wh: cell.as_ref().map(|value| value.import_wh),
                is_dark: day.is_dark_until(place, quarters),
            })
        })
    }

    /// Whether a quarter-hour meter has values at the half hours alone: it counts in half hours, and master data is wrong.
    #[must_use]
    pub fn counts_half_hours(&self) -> bool {
        const LEAST: usize = 12;
        let mut at_half_hours = 0;
        for (position, cell) in self.cells.iter().enumerate().filter(|(_, cell)| cell.is_some()) {
            let quarters = self.context_at(position).map_or(0, |context| context.quarters);
            if quarters != 1 || cell.is_none() || !self.quarter(position).0.is_multiple_of(2) {
                return false;
            }
            at_half_hours += 1;
        }
        at_half_hours >= LEAST
    }
}

/// A whole number as a measure.
pub(super) fn real(number: i64) -> f64 {
    ratio(number, 1)
}
