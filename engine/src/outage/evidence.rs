//! What one meter ever said that bears on supply: power events, and what its reads prove.
//!
//! [`MeterEvidence`] is a set in canonical form: the same events and the same validated reads give the same value, in whatever
//! order and however often they were told. It is small by design: reads are kept as runs of equal [`Sign`], so that a month of
//! ordinary consumption is one run of 32 bytes.

use std::collections::BTreeMap;

use gridtally_schemas::{IntervalMinutes, MeterId, UtcMicros};

use super::span::Span;

/// What an event code says about supply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// The meter lost its supply (default code 101).
    Failed,
    /// The meter has its supply back (default code 102).
    Restored,
    /// The load switch was opened (default code 301): non-payment, or by hand.
    Disconnected,
    /// The relay opened because the credit is exhausted (default code 304).
    CutOff,
    /// The load switch was closed (default code 302).
    Connected,
}

/// What one validated interval read proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sign {
    /// Zero voltage and no energy: no supply in the whole block.
    Dead,
    /// No energy and no voltage sent: nothing by itself.
    Quiet,
    /// Voltage without energy: the meter had supply in the block; the consumer may be disconnected.
    Powered,
    /// Energy: the consumer had supply in the block.
    Drawing,
}

impl Sign {
    /// What a read proves; `None` for a read that says nothing (no energy value, no voltage).
    ///
    /// `dead_below_v` is the average voltage below which a block without energy counts as dead.
    #[must_use]
    pub fn of(
        import_wh: Option<i64>,
        export_wh: Option<i64>,
        voltage_v: Option<f32>,
        dead_below_v: f32,
    ) -> Option<Self> {
        let energy = import_wh.unwrap_or(0) > 0 || export_wh.unwrap_or(0) > 0;
        let voltage_v = voltage_v.filter(|voltage| voltage.is_finite());
        match (energy, voltage_v) {
            (true, _) => Some(Self::Drawing),
            (false, Some(voltage)) if voltage < dead_below_v => Some(Self::Dead),
            (false, Some(_)) => Some(Self::Powered),
            (false, None) => import_wh.map(|_| Self::Quiet),
        }
    }

    /// Whether the meter had supply at some time in the block.
    #[must_use]
    pub const fn is_live(self) -> bool {
        match self {
            Self::Powered | Self::Drawing => true,
            Self::Dead | Self::Quiet => false,
        }
    }
}

/// Consecutive blocks of one sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// Begin of the first block and end of the last.
    pub span: Span,
    /// Length of each block, µs.
    pub block_micros: i64,
    /// What each block proves.
    pub sign: Sign,
}

impl Run {
    /// Its part whose blocks lie wholly in `within`; `None` when there is none.
    #[must_use]
    pub fn whole_blocks_in(self, within: Span) -> Option<Self> {
        let block = self.block_micros;
        let skipped = within.from.0.saturating_sub(self.span.from.0).max(0);
        let skipped = skipped.saturating_add(block - 1) / block * block;
        let cut = self.span.to.0.saturating_sub(within.to.0).max(0);
        let cut = cut.saturating_add(block - 1) / block * block;
        let span = Span::new(self.span.from.plus(skipped), self.span.to.plus(-cut));
        (span.from < span.to).then_some(Self { span, ..self })
    }
}

/// Everything one meter said that bears on supply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeterEvidence {
    /// Sorted by time, each once.
    signals: Vec<(UtcMicros, Signal)>,
    /// Sorted, disjoint; neighbours of one sign and one block length are joined.
    runs: Vec<Run>,
}

impl MeterEvidence {
    /// Adds an event to the set; true when it was new.
    pub fn add(&mut self, at: UtcMicros, signal: Signal) -> bool {
        match self.signals.binary_search(&(at, signal)) {
            Ok(_) => false,
            Err(place) => {
                self.signals.insert(place, (at, signal));
                true
            }
        }
    }

    /// Says what the validated value of one block proves; `None` takes back what it proved before. True when that changed anything.
    ///
    /// The caller tells the value that won (state is a join, so it is the same for every order of arrival), and all blocks of a
    /// meter on the grid of its interval length: when master data changes that length, the evidence is built anew.
    pub fn set(&mut self, interval_end: UtcMicros, minutes: IntervalMinutes, sign: Option<Sign>) -> bool {
        let block_micros = minutes.micros();
        let span = Span::new(interval_end.plus(-block_micros), interval_end);
        if self.runs.last().is_none_or(|last| last.span.to <= span.from) {
            return self.append(span, block_micros, sign);
        }
        let first = self.runs.partition_point(|run| run.span.to < span.from);
        let after = self.runs.partition_point(|run| run.span.from <= span.to);
        let touched = self.runs.get(first..after).unwrap_or_default();
        let mut pieces: Vec<Run> = Vec::with_capacity(touched.len() + 2);
        for run in touched {
            pieces.extend(
                run.span
                    .without(&[span])
                    .into_iter()
                    .map(|span| Run { span, ..*run }),
            );
        }
        pieces.extend(sign.map(|sign| Run {
            span,
            block_micros,
            sign,
        }));
        pieces.sort_unstable();
        pieces.dedup_by(|next, held| {
            let joins = held.span.to == next.span.from
                && (held.sign, held.block_micros) == (next.sign, next.block_micros);
            if joins {
                held.span.to = next.span.to;
            }
            joins
        });
        if pieces == touched {
            return false;
        }
        self.runs.splice(first..after, pieces);
        true
    }

    /// Says what a block proves that begins no earlier than all of them end: the common case, without a search.
    fn append(&mut self, span: Span, block_micros: i64, sign: Option<Sign>) -> bool {
        let Some(sign) = sign else {
            return false;
        };
        let joins = |last: &&mut Run| {
            last.span.to == span.from && (last.sign, last.block_micros) == (sign, block_micros)
        };
        match self.runs.last_mut().filter(joins) {
            Some(last) => last.span.to = span.to,
            None => self.runs.push(Run {
                span,
                block_micros,
                sign,
            }),
        }
        true
    }

    /// Forgets every read, so that they can be told anew.
    pub fn forget_reads(&mut self) {
        self.runs.clear();
    }

    /// Whether the meter never said anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signals.is_empty() && self.runs.is_empty()
    }

    /// All events, by time.
    #[must_use]
    pub fn signals(&self) -> &[(UtcMicros, Signal)] {
        &self.signals
    }

    /// All runs, by time.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The runs that share an instant with `within`.
    #[must_use]
    pub fn runs_in(&self, within: Span) -> &[Run] {
        let first = self.runs.partition_point(|run| run.span.to <= within.from);
        let after = self.runs.partition_point(|run| run.span.from < within.to);
        self.runs.get(first..after).unwrap_or_default()
    }

    /// Whether the meter said anything about `within`: an event in it, or a read of a block that shares an instant with it.
    #[must_use]
    pub fn is_heard_in(&self, within: Span) -> bool {
        let next = self.signals.partition_point(|(at, _)| *at < within.from);
        let event = self.signals.get(next).is_some_and(|(at, _)| *at < within.to);
        event || !self.runs_in(within).is_empty()
    }

    /// The first block wholly in `within` whose sign is `wanted`.
    #[must_use]
    pub fn first_block_in(&self, within: Span, wanted: impl Fn(Sign) -> bool) -> Option<Span> {
        self.runs_in(within)
            .iter()
            .filter(|run| wanted(run.sign))
            .find_map(|run| run.whole_blocks_in(within))
            .map(|run| Span::new(run.span.from, run.span.from.plus(run.block_micros)))
    }

    /// Forgets what no evaluation from `since` on needs, `kept_micros` being how far back an evaluation looks for voices
    /// ([`Rules::heard_micros`](super::Rules)). The last words before that stay.
    pub fn forget_before(&mut self, since: UtcMicros, kept_micros: i64) {
        let cut = since.plus(-kept_micros);
        let is_switch = |signal: Signal| match signal {
            Signal::Failed | Signal::Restored => false,
            Signal::Disconnected | Signal::CutOff | Signal::Connected => true,
        };
        let last = |switch: bool| {
            self.signals
                .iter()
                .rev()
                .find(|(at, signal)| *at < cut && is_switch(*signal) == switch)
                .map(|(at, _)| *at)
        };
        let (power, switch) = (last(false), last(true));
        self.signals.retain(|(at, signal)| {
            *at >= cut || Some(*at) == if is_switch(*signal) { switch } else { power }
        });
        let last = |wanted: fn(Sign) -> bool| {
            let before = self.runs.iter().rev().filter(|run| run.span.to < cut);
            before.copied().find(|run| wanted(run.sign))
        };
        // That it ever spoke; that it had supply; that it consumed.
        let kept = [
            last(|_| true),
            last(Sign::is_live),
            last(|sign| sign == Sign::Drawing),
        ];
        self.runs
            .retain(|run| run.span.to >= cut || kept.contains(&Some(*run)));
    }
}

/// Where the evaluation finds the evidence of a meter.
pub trait Evidence {
    /// What `meter` said; `None`: nothing yet.
    fn of(&self, meter: &MeterId) -> Option<&MeterEvidence>;
}

impl Evidence for BTreeMap<MeterId, MeterEvidence> {
    fn of(&self, meter: &MeterId) -> Option<&MeterEvidence> {
        self.get(meter)
    }
}
