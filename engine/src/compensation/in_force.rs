//! Which regulation is in force where, from when on: what configuration says, checked and told in plain words.

use std::collections::BTreeMap;

use gridtally_schemas::{Day, NodeId, Zone};

use super::{
    regulation::{Kind, Regulation, VoltageBand},
    rule::{BookError, RuleBook},
};

/// One statement of the configuration.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The node under which it holds; `None`: everywhere.
    pub node: Option<NodeId>,
    /// First day on which it is in force; not before the regulation's own.
    pub from: Day,
    /// The regulation.
    pub regulation: Regulation,
}

/// Why statements cannot stand together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InForceError {
    /// The regulations of one part of the network.
    #[error("{place}: {source}")]
    Book {
        /// Which part.
        place: String,
        /// What is wrong.
        source: BookError,
    },
    /// A regulation is to be in force before it was.
    #[error("{place}: {preset} is to be in force from {from}, and begins on {begins}")]
    TooEarly {
        /// Which part.
        place: String,
        /// The preset.
        preset: String,
        /// From when it is to be in force.
        from: Day,
        /// Its own first day.
        begins: Day,
    },
    /// A regulation is to be in force after it ended.
    #[error("{place}: {preset} is to be in force from {from}, and ended before {ended}")]
    TooLate {
        /// Which part.
        place: String,
        /// The preset.
        preset: String,
        /// From when it is to be in force.
        from: Day,
        /// The first day on which it no longer holds.
        ended: Day,
    },
}

/// The regulations in force, by part of the network. Without any, nothing is accrued.
#[derive(Debug, Clone, Default)]
pub struct InForce {
    /// Everywhere.
    everywhere: Option<RuleBook>,
    /// Under single nodes.
    under: BTreeMap<NodeId, RuleBook>,
}

fn place_of(node: Option<&NodeId>) -> String {
    node.map_or_else(|| "everywhere".to_owned(), |node| format!("under {node}"))
}

impl InForce {
    /// Checks statements. `otherwise` is in force everywhere on days on which no statement is.
    ///
    /// # Errors
    /// [`InForceError`] names the part of the network, the regulation and what is wrong.
    pub fn new(
        zone: &Zone,
        statements: Vec<Statement>,
        otherwise: Option<Regulation>,
    ) -> Result<Self, InForceError> {
        let mut by_place: BTreeMap<Option<NodeId>, Vec<(Day, Regulation)>> = BTreeMap::new();
        for Statement {
            node,
            from,
            regulation,
        } in statements
        {
            let (place, preset) = (place_of(node.as_ref()), regulation.preset.clone());
            if from < regulation.valid.from {
                return Err(InForceError::TooEarly {
                    place,
                    preset,
                    from,
                    begins: regulation.valid.from,
                });
            }
            if let Some(ended) = regulation.valid.to.filter(|ended| *ended <= from) {
                return Err(InForceError::TooLate {
                    place,
                    preset,
                    from,
                    ended,
                });
            }
            by_place.entry(node).or_default().push((from, regulation));
        }
        let book = |node: Option<&NodeId>, regulations| {
            RuleBook::in_force(zone.clone(), regulations).map_err(|source| InForceError::Book {
                place: place_of(node),
                source,
            })
        };
        let mut in_force = Self::default();
        for (node, regulations) in by_place {
            let made = book(node.as_ref(), regulations)?;
            match node {
                Some(node) => {
                    in_force.under.insert(node, made);
                }
                None => in_force.everywhere = Some(made),
            }
        }
        if let Some(regulation) = otherwise {
            let otherwise = book(None, vec![(regulation.valid.from, regulation)])?;
            in_force.everywhere = Some(match in_force.everywhere {
                Some(everywhere) => everywhere.before(&otherwise),
                None => otherwise,
            });
        }
        Ok(in_force)
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.everywhere.is_none() && self.under.is_empty()
    }

    /// Whether it differs by place.
    #[must_use]
    pub fn is_by_place(&self) -> bool {
        !self.under.is_empty()
    }

    /// Every regulation that is in force somewhere at some time; one that several places name comes as often.
    fn regulations(&self) -> impl Iterator<Item = &Regulation> {
        let books = self.everywhere.iter().chain(self.under.values());
        books.flat_map(RuleBook::regulations).map(|(_, held)| held)
    }

    /// Whether a regulation anywhere caps by the year's fixed charges.
    #[must_use]
    pub fn caps_by_year(&self) -> bool {
        self.regulations().any(|regulation| regulation.year_cap.is_some())
    }

    /// The limits of voltage that some standard sets, each once.
    #[must_use]
    pub fn voltage_bands(&self) -> Vec<VoltageBand> {
        let standards = self.regulations().flat_map(|held| &held.standards);
        let mut bands: Vec<VoltageBand> = Vec::new();
        for standard in standards {
            if let Kind::VoltageDays { band, .. } = &standard.kind
                && !bands.contains(band)
            {
                bands.push(*band);
            }
        }
        bands
    }

    /// What is in force at a place, the node itself first, then those above it; `None`: nothing, on no day.
    #[must_use]
    pub fn at<'a>(&self, places: impl IntoIterator<Item = &'a NodeId>) -> Option<RuleBook> {
        let own = places.into_iter().filter_map(|node| self.under.get(node));
        let books: Vec<&RuleBook> = own.chain(&self.everywhere).collect();
        let (first, rest) = books.split_first()?;
        Some(
            rest.iter()
                .fold((*first).clone(), |book, wider| book.before(wider)),
        )
    }

    /// The regulation of this name; `None`: it is not configured.
    #[must_use]
    pub fn find(&self, preset: &str) -> Option<&Regulation> {
        self.regulations().find(|held| held.preset == preset)
    }

    /// Names of the presets, each once, in order.
    #[must_use]
    pub fn presets(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.regulations().map(|held| held.preset.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// In plain words: what is in force where and when, with gaps and overlaps.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        if self.is_none() {
            return vec!["no regulation on compensation is in force: nothing is accrued".to_owned()];
        }
        let everywhere = self.everywhere.iter().flat_map(|book| timeline(None, book));
        let under = self
            .under
            .iter()
            .flat_map(|(node, book)| timeline(Some(node), book));
        everywhere.chain(under).collect()
    }
}

/// What is in force in one part of the network, stretch by stretch.
fn timeline(node: Option<&NodeId>, book: &RuleBook) -> Vec<String> {
    let place = place_of(node);
    let turns: Vec<Day> = book.turns().into_iter().collect();
    let mut stretches: Vec<(Option<Day>, Option<Day>, Option<&str>)> =
        vec![(None, turns.first().copied(), None)];
    for (at, from) in turns.iter().enumerate() {
        let to = turns.get(at + 1).copied();
        let preset = book.on(*from).map(|regulation| regulation.preset.as_str());
        match stretches.last_mut() {
            Some((_, end, held)) if *held == preset => *end = to,
            Some(_) | None => stretches.push((Some(*from), to, preset)),
        }
    }
    let mut lines = Vec::new();
    for (from, to, preset) in stretches {
        let when = match (from, to) {
            (None, Some(to)) => format!("before {to}"),
            (Some(from), Some(to)) => format!("from {from} until before {to}"),
            (Some(from), None) => format!("from {from}"),
            (None, None) => "always".to_owned(),
        };
        match (preset, node) {
            (Some(preset), _) => lines.push(format!("{place}, {when}: {preset}")),
            (None, None) => lines.push(format!("{place}, {when}: gap: no regulation, nothing is accrued")),
            (None, Some(_)) => lines.push(format!("{place}, {when}: what is in force above it")),
        }
    }
    lines.extend(overlaps(&place, book));
    lines
}

/// Where a regulation that still holds gives way to another.
fn overlaps(place: &str, book: &RuleBook) -> Vec<String> {
    let regulations: Vec<(Day, &Regulation)> = book.regulations().collect();
    let mut lines = Vec::new();
    for (from, begins) in &regulations {
        let day_before = Day(from.0 - 1);
        let held = book.on(day_before);
        let gives_way = held.filter(|held| held.preset != begins.preset && held.valid.holds(*from));
        if let (Some(held), Some(now)) = (gives_way, book.on(*from))
            && now.preset == begins.preset
        {
            lines.push(format!(
                "{place}: overlap: {} would still hold on {from}, when {} takes its place",
                held.preset, begins.preset
            ));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compensation::rig::{day, preset};

    fn says(node: Option<&str>, from: &str, name: &str) -> Statement {
        Statement {
            node: node.map(|node| NodeId::parse(node).unwrap()),
            from: day(from),
            regulation: preset(name),
        }
    }

    fn made(statements: Vec<Statement>, otherwise: Option<&str>) -> Result<InForce, String> {
        InForce::new(&Zone::kolkata(), statements, otherwise.map(preset)).map_err(|error| error.to_string())
    }

    fn in_force(of: &InForce, places: &[&str], on: &str) -> Option<String> {
        let places: Vec<NodeId> = places.iter().map(|place| NodeId::parse(place).unwrap()).collect();
        let book = of.at(&places)?;
        book.on(day(on)).map(|regulation| regulation.preset.clone())
    }

    #[test]
    fn the_nearest_node_that_has_one_on_the_day_decides_then_everywhere_then_the_default() {
        let of = made(
            vec![
                says(None, "2022-01-01", "IN-TG-TSERC-2016"),
                says(Some("Z"), "2024-01-01", "IN-DL-DERC-2018"),
            ],
            Some("IN-MH-MERC-2021"),
        )
        .unwrap();
        let check = |places: &[&str], on: &str, expected: Option<&str>| {
            assert_eq!(
                in_force(&of, places, on).as_deref(),
                expected,
                "{places:?} on {on}"
            );
        };
        check(&["F1", "Z"], "2025-06-01", Some("IN-DL-DERC-2018"));
        check(&["F1", "Z"], "2023-06-01", Some("IN-TG-TSERC-2016"));
        check(&["F1", "Y"], "2025-06-01", Some("IN-TG-TSERC-2016"));
        check(&["F1", "Z"], "2021-06-01", Some("IN-MH-MERC-2021"));
        check(&["F1", "Z"], "2020-06-01", None);
        assert!(made(Vec::new(), None).unwrap().is_none());
    }

    #[test]
    fn gaps_and_overlaps_are_told() {
        let of = made(
            vec![
                says(None, "2022-01-01", "IN-MH-MERC-2021"),
                says(None, "2024-01-01", "IN-TG-TSERC-2016"),
                says(Some("Z"), "2024-01-01", "IN-DL-DERC-2018"),
            ],
            None,
        )
        .unwrap();
        assert_eq!(
            of.lines(),
            [
                "everywhere, before 2022-01-01: gap: no regulation, nothing is accrued",
                "everywhere, from 2022-01-01 until before 2024-01-01: IN-MH-MERC-2021",
                "everywhere, from 2024-01-01: IN-TG-TSERC-2016",
                "everywhere: overlap: IN-MH-MERC-2021 would still hold on 2024-01-01, when IN-TG-TSERC-2016 takes its place",
                "under Z, before 2024-01-01: what is in force above it",
                "under Z, from 2024-01-01: IN-DL-DERC-2018",
            ]
        );
    }

    #[test]
    fn statements_that_cannot_stand_are_refused_with_place_and_reason() {
        let refused = |statements| made(statements, None).unwrap_err();
        assert_eq!(
            refused(vec![says(None, "2020-01-01", "IN-MH-MERC-2021")]),
            "everywhere: IN-MH-MERC-2021 is to be in force from 2020-01-01, and begins on 2021-02-25"
        );
        let twice = vec![
            says(Some("Z"), "2022-01-01", "IN-MH-MERC-2021"),
            says(Some("Z"), "2022-01-01", "IN-TG-TSERC-2016"),
        ];
        assert_eq!(
            refused(twice),
            "under Z: regulations IN-MH-MERC-2021 and IN-TG-TSERC-2016 both begin on 2022-01-01"
        );
        let mut ended = says(None, "2026-01-01", "IN-MH-MERC-2021");
        ended.regulation.valid.to = Some(day("2025-04-01"));
        assert_eq!(
            refused(vec![ended]),
            "everywhere: IN-MH-MERC-2021 is to be in force from 2026-01-01, and ended before 2025-04-01"
        );
    }
}
