//! The rows of meters and connections, sixteen bytes each.
//!
//! A utility has millions of them, and nearly all say the same few things: one category, load and scheme is told by thousands of
//! connections, one begin by all that were installed on a day, one time of recording by all rows of a record of the log. So a row refers by
//! number to what it shares with others, and the shared things are kept once. Nearly every meter and connection has one row, which lies in
//! a column of its own; where there are several, they lie in a list beside it. A row on its own with everything it says took 110 to 180
//! bytes.
//!
//! What is shared is never taken away: a record of the log that repeats rows adds one time of recording, 32 bytes.

use std::hash::{BuildHasher, Hash};

use gridtally_schemas::{
    IntervalMinutes, Multiplier, UtcMicros,
    network::{ConnectionRow, MeterRole, MeterRow, Metering, Prosumer, Supply},
};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::NodeIx;

/// Things that many rows share, each once, by number.
#[derive(Debug)]
pub(super) struct Shared<T> {
    things: Vec<T>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            things: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

fn position(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl<T: Hash + Eq> Shared<T> {
    /// The number of a thing.
    pub(super) fn number(&mut self, thing: T) -> u32 {
        let (things, hasher) = (&self.things, &self.hasher);
        let hash = hasher.hash_one(&thing);
        let is_it = |number: &u32| things.get(position(*number)) == Some(&thing);
        if let Some(found) = self.index.find(hash, is_it) {
            return *found;
        }
        let new = u32::try_from(things.len()).unwrap_or(u32::MAX);
        let hash_of = |number: &u32| {
            things
                .get(position(*number))
                .map_or(0, |thing| hasher.hash_one(thing))
        };
        self.index.insert_unique(hash, new, hash_of);
        self.things.push(thing);
        new
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.things.get(position(number))
    }
}

/// When a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Term {
    pub(super) from: UtcMicros,
    pub(super) to: Option<UtcMicros>,
}

impl Term {
    pub(super) fn covers(&self, instant: UtcMicros) -> bool {
        self.from <= instant && self.to.is_none_or(|end| instant < end)
    }
}

/// What a meter's row says beside its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MeterSays {
    /// What it measures.
    pub role: MeterRole,
    /// Length of its intervals.
    pub interval_minutes: IntervalMinutes,
    /// Its multiplying factor.
    pub multiplier: Multiplier,
    /// Boundary meters: the feeder on the other side.
    pub boundary_to: Option<NodeIx>,
}

impl MeterSays {
    pub(super) const fn of(row: &MeterRow, boundary_to: Option<NodeIx>) -> Self {
        Self {
            role: row.role,
            interval_minutes: row.interval_minutes,
            multiplier: row.multiplier,
            boundary_to,
        }
    }
}

/// What a connection's row says beside its place.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionSays {
    /// Tariff category.
    pub category: String,
    /// Supply voltage.
    pub supply: Supply,
    /// Phases, 1 or 3.
    pub phases: u8,
    /// Sanctioned load, kW.
    pub sanctioned_load_kw: Option<f64>,
    /// How it is metered.
    pub metering: Metering,
    /// Scheme of its own generation.
    pub prosumer: Prosumer,
    /// Unmetered: assessed consumption a month, kWh.
    pub assessed_kwh_month: Option<f64>,
}

// Numbers come from text, and no text is read as one that is not equal to itself.
impl Eq for ConnectionSays {}

impl Hash for ConnectionSays {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // Zero and minus zero are equal.
        let bits = |number: Option<f64>| number.map(|number| (number + 0.0).to_bits());
        self.category.hash(state);
        (self.supply, self.phases, self.metering, self.prosumer).hash(state);
        (bits(self.sanctioned_load_kw), bits(self.assessed_kwh_month)).hash(state);
    }
}

impl ConnectionSays {
    pub(super) fn of(row: &ConnectionRow) -> Self {
        Self {
            category: row.category.clone(),
            supply: row.supply,
            phases: row.phases,
            sanctioned_load_kw: row.sanctioned_load_kw,
            metering: row.metering,
            prosumer: row.prosumer,
            assessed_kwh_month: row.assessed_kwh_month,
        }
    }
}

/// A row of a meter or a connection: numbers of what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    node: u32,
    /// A [`MeterSays`] or a [`ConnectionSays`].
    pub(super) says: u32,
    /// A [`Term`].
    pub(super) term: u32,
    /// When it was recorded, and by whom.
    pub(super) word: u32,
}

const NOWHERE: u32 = u32::MAX;

impl Row {
    /// In the place of a single row: there is none.
    const NONE: Self = Self::marked(u32::MAX);
    /// In the place of a single row: there are several.
    const SEVERAL: Self = Self::marked(u32::MAX - 1);

    const fn marked(mark: u32) -> Self {
        Self {
            node: NOWHERE,
            says: mark,
            term: mark,
            word: mark,
        }
    }

    pub(super) fn new(node: Option<NodeIx>, [says, term, word]: [u32; 3]) -> Self {
        Self {
            node: node.map_or(NOWHERE, |node| node.0),
            says,
            term,
            word,
        }
    }

    /// The node that it names.
    pub(super) fn node(&self) -> Option<NodeIx> {
        (self.node != NOWHERE).then_some(NodeIx(self.node))
    }

    /// The same row, recorded by another word.
    pub(super) const fn recorded(self, word: u32) -> Self {
        Self { word, ..self }
    }

    /// Whether both say the same, whoever recorded them and when.
    pub(super) fn says_as(&self, other: &Self) -> bool {
        (self.node, self.says, self.term) == (other.node, other.says, other.term)
    }
}

/// The rows of all meters, or of all connections: of each by when they begin.
#[derive(Debug, Default)]
pub(super) struct Rows {
    single: Vec<Row>,
    several: HashMap<u32, Vec<Row>>,
}

impl Rows {
    /// Makes room for one more meter or connection, without a row.
    pub(super) fn push(&mut self) {
        self.single.push(Row::NONE);
    }

    /// The rows of one.
    pub(super) fn of(&self, number: u32) -> &[Row] {
        match self.single.get(position(number)) {
            None => &[],
            Some(row) if *row == Row::NONE => &[],
            Some(row) if *row == Row::SEVERAL => self.several.get(&number).map_or(&[], Vec::as_slice),
            Some(row) => std::slice::from_ref(row),
        }
    }

    /// Puts a row at a place among those of one.
    pub(super) fn insert(&mut self, number: u32, at: usize, row: Row) {
        let Some(single) = self.single.get_mut(position(number)) else {
            return;
        };
        if *single == Row::NONE {
            *single = row;
            return;
        }
        let held = self.several.entry(number).or_default();
        if *single != Row::SEVERAL {
            held.push(std::mem::replace(single, Row::SEVERAL));
        }
        held.insert(at.min(held.len()), row);
    }

    /// Puts a row into the place of another.
    pub(super) fn replace(&mut self, number: u32, at: usize, row: Row) {
        let Some(single) = self.single.get_mut(position(number)) else {
            return;
        };
        if *single != Row::SEVERAL {
            *single = row;
        } else if let Some(held) = self.several.get_mut(&number).and_then(|held| held.get_mut(at)) {
            *held = row;
        }
    }
}
