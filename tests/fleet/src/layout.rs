//! The discom's outline: how many feeders of which kind, what stands above them, and where they lie.

use std::sync::Arc;

use gridtally_schemas::{
    Day, NodeId, UtcMicros,
    network::{AreaClass, NodeKind, NodeRow},
};

use crate::{
    config::{FleetConfig, FleetError},
    feeder::Feeder,
    prng::{Key, count, real, signed, size},
};

/// What an 11 kV feeder mainly supplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeederKind {
    /// Town: homes, shops, some HT consumers.
    Urban,
    /// Villages: homes, some pump sets.
    Rural,
    /// Pump sets by hours of supply, most of them unmetered, and some villages.
    Agriculture,
    /// Workshops and HT consumers.
    Industrial,
}

impl FeederKind {
    pub(crate) const fn area_class(self) -> AreaClass {
        match self {
            Self::Urban | Self::Industrial => AreaClass::Urban,
            Self::Rural | Self::Agriculture => AreaClass::Rural,
        }
    }

    pub(crate) const fn is_rural(self) -> bool {
        match self {
            Self::Urban | Self::Industrial => false,
            Self::Rural | Self::Agriculture => true,
        }
    }
}

/// Kinds in turn, so that a fleet of any size has its share of each: 4 urban, 3 rural, 2 agricultural, 1 industrial of 10.
const KINDS: [FeederKind; 10] = [
    FeederKind::Urban,
    FeederKind::Rural,
    FeederKind::Agriculture,
    FeederKind::Urban,
    FeederKind::Industrial,
    FeederKind::Urban,
    FeederKind::Rural,
    FeederKind::Urban,
    FeederKind::Agriculture,
    FeederKind::Rural,
];

/// A level above the feeders: its kind, its letter in ids, and how many feeders a node of it has.
struct Level {
    kind: NodeKind,
    letter: &'static str,
    word: &'static str,
    feeders: u64,
}

const LEVELS: [Level; 6] = [
    Level {
        kind: NodeKind::Zone,
        letter: "Z",
        word: "zone",
        feeders: 2_880,
    },
    Level {
        kind: NodeKind::Circle,
        letter: "C",
        word: "circle",
        feeders: 576,
    },
    Level {
        kind: NodeKind::Division,
        letter: "D",
        word: "division",
        feeders: 144,
    },
    Level {
        kind: NodeKind::Subdivision,
        letter: "S",
        word: "subdivision",
        feeders: 36,
    },
    Level {
        kind: NodeKind::Section,
        letter: "N",
        word: "section",
        feeders: 12,
    },
    Level {
        kind: NodeKind::Substation,
        letter: "B",
        word: "33/11 kV substation",
        feeders: 6,
    },
];

pub(crate) const DISCOM: &str = "PVVNL";

/// A synthetic utility: a pure function of its configuration. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fleet {
    config: Arc<FleetConfig>,
    feeders: u64,
}

impl Fleet {
    /// The fleet of a configuration.
    ///
    /// # Errors
    /// [`FleetError`] names what in the configuration is out of bounds.
    pub fn new(config: FleetConfig) -> Result<Self, FleetError> {
        config.check()?;
        let feeders = config.feeders();
        Ok(Self {
            config: Arc::new(config),
            feeders,
        })
    }

    /// What it was made from.
    #[must_use]
    pub fn config(&self) -> &FleetConfig {
        &self.config
    }

    /// Number of feeders.
    #[must_use]
    pub fn feeder_count(&self) -> u64 {
        self.feeders
    }

    /// One feeder with all below it; `None` when there is none of that number. Building it costs about 0.1 ms.
    #[must_use]
    pub fn feeder(&self, number: u64) -> Option<Feeder> {
        (number < self.feeders).then(|| Feeder::build(self, number))
    }

    /// All feeders, built one at a time.
    pub fn feeders(&self) -> impl Iterator<Item = Feeder> {
        (0..self.feeders).filter_map(|number| self.feeder(number))
    }

    /// Master data holds from here, a year before the start.
    #[must_use]
    pub fn valid_from(&self) -> UtcMicros {
        let zone = &self.config.zone;
        zone.start_of(Day(zone.day_of(self.config.start).0 - 365))
    }

    pub(crate) fn key(&self) -> Key {
        Key::of_seed(self.config.seed)
    }

    pub(crate) fn feeder_key(&self, number: u64) -> Key {
        self.key().part(1).part(number)
    }

    pub(crate) fn kind_of(&self, number: u64) -> FeederKind {
        KINDS
            .get(size(number % count(KINDS.len())))
            .copied()
            .unwrap_or(FeederKind::Urban)
    }

    /// Consumers of a feeder: the even share, less or more by up to a quarter in pairs, so that they sum to what was asked for.
    pub(crate) fn consumers_of(&self, number: u64) -> u64 {
        let share = |of: u64| {
            self.config.consumers / self.feeders + u64::from(of < self.config.consumers % self.feeders)
        };
        let pair = number / 2;
        if pair * 2 + 1 >= self.feeders {
            return share(number);
        }
        let shift = self.key().part(2).part(pair).below(share(pair * 2 + 1) / 4 + 1);
        if number.is_multiple_of(2) {
            share(number) + shift
        } else {
            share(number) - shift
        }
    }

    /// Whether there is a tie between feeders `even` and `even + 1`.
    pub(crate) fn is_tied(&self, even: u64) -> bool {
        even + 1 < self.feeders
            && self
                .key()
                .part(3)
                .part(even)
                .chance_permille(self.config.boundary_permille)
    }

    /// The substation of a feeder.
    pub(crate) fn parent_of_feeder(&self, number: u64) -> Option<NodeId> {
        LEVELS
            .last()
            .and_then(|level| id_of(level, number / level.feeders))
    }

    /// Every node above the feeders, parents first.
    pub(crate) fn upper_nodes(&self) -> impl Iterator<Item = NodeRow> {
        let discom = NodeId::parse(DISCOM).ok().map(|node_id| NodeRow {
            node_id,
            name: "Purvagram Vidyut Vitaran Nigam".to_owned(),
            kind: NodeKind::Discom,
            parent_id: None,
            area_class: None,
            lat: None,
            lon: None,
            capacity_kva: None,
            allowable_loss_pct: Some(12.0),
            technical_loss_pct: None,
            valid_from: self.valid_from(),
            valid_to: None,
        });
        let below = LEVELS.iter().enumerate().flat_map(move |(depth, level)| {
            let nodes = self.feeders.div_ceil(level.feeders);
            (0..nodes).filter_map(move |number| self.upper_node(depth, level, number))
        });
        discom.into_iter().chain(below)
    }

    fn upper_node(&self, depth: usize, level: &Level, number: u64) -> Option<NodeRow> {
        let parent_id = match depth.checked_sub(1).and_then(|above| LEVELS.get(above)) {
            None => NodeId::parse(DISCOM).ok(),
            Some(above) => id_of(above, number * level.feeders / above.feeders),
        };
        let key = self.key().part(4).part(count(depth)).part(number);
        let place = (level.kind == NodeKind::Substation).then(|| self.place_of_substation(number));
        Some(NodeRow {
            node_id: id_of(level, number)?,
            kind: level.kind,
            parent_id,
            name: format!("{} {}", town(key), level.word),
            area_class: None,
            lat: place.map(|(lat, _)| degrees(lat)),
            lon: place.map(|(_, lon)| degrees(lon)),
            capacity_kva: (level.kind == NodeKind::Substation).then_some(10_000.0),
            allowable_loss_pct: None,
            technical_loss_pct: None,
            valid_from: self.valid_from(),
            valid_to: None,
        })
    }

    /// Where a substation stands, in millionths of a degree: on a spiral of square rings round the town, 6 km apart.
    pub(crate) fn place_of_substation(&self, number: u64) -> (i64, i64) {
        let ring = (0..20_000_i64)
            .find(|ring| signed(number) < (2 * ring + 1) * (2 * ring + 1))
            .unwrap_or_default();
        let along = signed(number) - (2 * ring - 1).max(0) * (2 * ring - 1).max(0);
        let (side, step) = (along / (2 * ring).max(1), along % (2 * ring).max(1));
        let (x, y) = match side {
            0 => (step - ring, -ring),
            1 => (ring, step - ring),
            2 => (ring - step, ring),
            _ => (-ring, ring - step),
        };
        let key = self.key().part(5).part(number);
        let jitter = |part: u64| signed(key.part(part).below(16_000)) - 8_000;
        (
            18_652_000 + y * 54_000 + jitter(0),
            76_904_000 + x * 57_000 + jitter(1),
        )
    }
}

fn id_of(level: &Level, number: u64) -> Option<NodeId> {
    NodeId::parse(&format!("{}{:04}", level.letter, number + 1)).ok()
}

/// Millionths of a degree as degrees.
pub(crate) fn degrees(millionths: i64) -> f64 {
    real(millionths) / 1_000_000.0
}

/// An invented place name.
pub(crate) fn town(key: Key) -> String {
    const FIRST: [&str; 32] = [
        "Amra", "Bansi", "Chanda", "Deva", "Gula", "Hira", "Indra", "Jala", "Kamal", "Lakshi", "Madhav",
        "Nava", "Pipal", "Rama", "Sona", "Tulsi", "Uda", "Vana", "Ashok", "Bela", "Chitra", "Dhana", "Ganga",
        "Kusum", "Mala", "Neem", "Padma", "Ratan", "Shanti", "Tara", "Vishnu", "Yamu",
    ];
    const LAST: [&str; 12] = [
        "pur", "nagar", "gaon", "wadi", "ganj", "khed", "pura", "palli", "garh", "kheda", "vihar", "tola",
    ];
    let pick = |list: &[&'static str], part: u64| {
        list.get(size(key.part(part).below(count(list.len()))))
            .copied()
            .unwrap_or_default()
    };
    format!("{}{}", pick(&FIRST, 0), pick(&LAST, 1))
}

#[cfg(test)]
mod tests;
