//! What event codes mean, and which of them bear on supply (DOMAIN section 4).
//!
//! Vendors differ, so which code has which meaning is configuration: `[[events.codes]]`, over the built-in codes. The meanings
//! themselves are fixed, for decisions hang on them.
//!
//! # When the map changes
//!
//! It holds from the start of the process on, for every event ever heard: evidence is made of the events anew at each start. So what
//! stands after a restart with another map is what a run that had that map from its beginning comes to. Of what was published before,
//! outages and interruptions that are none under the new map end as CANCELLED and withdrawn, all else that differs gets a new version,
//! and so do rows of `meter_events` whose meaning is another. Nothing published is altered.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::Signal;

/// A meaning that a code can have.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    text: &'static str,
    signal: Option<Signal>,
    /// What it ends; empty: it ends nothing.
    ends: &'static [&'static str],
}

const fn means(text: &'static str) -> Meaning {
    Meaning {
        text,
        signal: None,
        ends: &[],
    }
}

const fn ends(text: &'static str, ends: &'static [&'static str]) -> Meaning {
    Meaning {
        text,
        signal: None,
        ends,
    }
}

const fn bears(text: &'static str, signal: Signal, ends: &'static [&'static str]) -> Meaning {
    Meaning {
        text,
        signal: Some(signal),
        ends,
    }
}

/// Every meaning there is.
static MEANINGS: [Meaning; 42] = [
    bears("power failure", Signal::Failed, &[]),
    bears("power restoration", Signal::Restored, &["power failure"]),
    bears("load switch disconnected", Signal::Disconnected, &[]),
    bears("relay off on low credit", Signal::CutOff, &[]),
    bears(
        "load switch connected",
        Signal::Connected,
        &["load switch disconnected", "relay off on low credit"],
    ),
    means("R phase voltage missing"),
    ends("R phase voltage restored", &["R phase voltage missing"]),
    means("Y phase voltage missing"),
    ends("Y phase voltage restored", &["Y phase voltage missing"]),
    means("B phase voltage missing"),
    ends("B phase voltage restored", &["B phase voltage missing"]),
    means("over-voltage"),
    ends("over-voltage ended", &["over-voltage"]),
    means("low voltage"),
    ends("low voltage ended", &["low voltage"]),
    means("voltage unbalance"),
    ends("voltage unbalance ended", &["voltage unbalance"]),
    means("current reversal"),
    ends("current reversal ended", &["current reversal"]),
    means("CT open"),
    ends("CT open ended", &["CT open"]),
    means("current unbalance"),
    ends("current unbalance ended", &["current unbalance"]),
    means("CT bypass"),
    ends("CT bypass ended", &["CT bypass"]),
    means("over-current"),
    ends("over-current ended", &["over-current"]),
    means("earth loading"),
    ends("earth loading ended", &["earth loading"]),
    means("magnet"),
    ends("magnet removed", &["magnet"]),
    means("neutral disturbance"),
    ends("neutral disturbance ended", &["neutral disturbance"]),
    means("low power factor"),
    ends("low power factor ended", &["low power factor"]),
    means("single-wire operation"),
    ends("single-wire operation ended", &["single-wire operation"]),
    means("communication module removed"),
    ends("communication module back", &["communication module removed"]),
    means("overload"),
    ends("overload ended", &["overload"]),
    means("meter cover opened"),
];

fn meaning_of(text: &str) -> Option<&'static Meaning> {
    MEANINGS.iter().find(|meaning| meaning.text == text)
}

/// The built-in codes: IS 15959 as two HES code bases transcribe it, with 304 of India Energy Stack.
const BUILT_IN: [(i32, &str); 50] = [
    (1, "R phase voltage missing"),
    (2, "R phase voltage restored"),
    (3, "Y phase voltage missing"),
    (4, "Y phase voltage restored"),
    (5, "B phase voltage missing"),
    (6, "B phase voltage restored"),
    (7, "over-voltage"),
    (8, "over-voltage ended"),
    (9, "low voltage"),
    (10, "low voltage ended"),
    (11, "voltage unbalance"),
    (12, "voltage unbalance ended"),
    (51, "current reversal"),
    (52, "current reversal ended"),
    (53, "current reversal"),
    (54, "current reversal ended"),
    (55, "current reversal"),
    (56, "current reversal ended"),
    (57, "CT open"),
    (58, "CT open ended"),
    (59, "CT open"),
    (60, "CT open ended"),
    (61, "CT open"),
    (62, "CT open ended"),
    (63, "current unbalance"),
    (64, "current unbalance ended"),
    (65, "CT bypass"),
    (66, "CT bypass ended"),
    (67, "over-current"),
    (68, "over-current ended"),
    (69, "earth loading"),
    (70, "earth loading ended"),
    (101, "power failure"),
    (102, "power restoration"),
    (201, "magnet"),
    (202, "magnet removed"),
    (203, "neutral disturbance"),
    (204, "neutral disturbance ended"),
    (205, "low power factor"),
    (206, "low power factor ended"),
    (207, "single-wire operation"),
    (208, "single-wire operation ended"),
    (209, "communication module removed"),
    (210, "communication module back"),
    (215, "overload"),
    (216, "overload ended"),
    (251, "meter cover opened"),
    (301, "load switch disconnected"),
    (302, "load switch connected"),
    (304, "relay off on low credit"),
];

/// The word that takes a built-in code's meaning away.
pub const NO_MEANING: &str = "none";

/// Why codes cannot be a map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventMapError {
    /// A code is named twice.
    #[error("code {code} stands twice, and would mean both `{first}` and `{second}`")]
    Twice {
        /// The code.
        code: i32,
        /// What it means first.
        first: String,
        /// What it means then.
        second: String,
    },
    /// There is no such meaning.
    #[error("code {code} means `{meaning}`, which is no meaning that gridtally knows; these are: {NO_MEANING}, {known}", known = all_meanings())]
    Unknown {
        /// The code.
        code: i32,
        /// What it is said to mean.
        meaning: String,
    },
    /// Something ends that no code begins.
    #[error("code {code} means `{meaning}`, but no code means `{begins}`: what never begins cannot end")]
    NeverBegins {
        /// The code.
        code: i32,
        /// What it means.
        meaning: &'static str,
        /// What a code would have to mean.
        begins: String,
    },
}

fn all_meanings() -> String {
    let all: Vec<&str> = MEANINGS.iter().map(|meaning| meaning.text).collect();
    all.join(", ")
}

/// Which event code means what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMap(BTreeMap<i32, &'static Meaning>);

impl Default for EventMap {
    fn default() -> Self {
        let known = BUILT_IN
            .iter()
            .filter_map(|(code, text)| Some((*code, meaning_of(text)?)));
        Self(known.collect())
    }
}

impl EventMap {
    /// A map without a code.
    #[must_use]
    pub const fn empty() -> Self {
        Self(BTreeMap::new())
    }

    /// This map with these codes over it; a code that means [`NO_MEANING`] is taken away.
    ///
    /// # Errors
    /// When a code stands twice, a meaning is unknown, or a code ends what no code begins.
    pub fn with<'a>(
        mut self,
        codes: impl IntoIterator<Item = (i32, &'a str)>,
    ) -> Result<Self, EventMapError> {
        let mut given: BTreeMap<i32, &str> = BTreeMap::new();
        for (code, text) in codes {
            if let Some(first) = given.insert(code, text) {
                return Err(EventMapError::Twice {
                    code,
                    first: first.to_owned(),
                    second: text.to_owned(),
                });
            }
            if text == NO_MEANING {
                self.0.remove(&code);
                continue;
            }
            let meaning = meaning_of(text).ok_or_else(|| EventMapError::Unknown {
                code,
                meaning: text.to_owned(),
            })?;
            self.0.insert(code, meaning);
        }
        self.checked()
    }

    fn checked(self) -> Result<Self, EventMapError> {
        let begun: BTreeSet<&str> = self.0.values().map(|meaning| meaning.text).collect();
        let never_begins = |meaning: &Meaning| {
            !meaning.ends.is_empty() && !meaning.ends.iter().any(|begins| begun.contains(begins))
        };
        match self.0.iter().find(|(_, meaning)| never_begins(meaning)) {
            None => Ok(self),
            Some((code, meaning)) => Err(EventMapError::NeverBegins {
                code: *code,
                meaning: meaning.text,
                begins: meaning.ends.join("` or `"),
            }),
        }
    }

    /// What `code` says about supply; `None`: nothing.
    #[must_use]
    pub fn signal(&self, code: i32) -> Option<Signal> {
        self.0.get(&code)?.signal
    }

    /// What `code` means; `None`: the map does not have it.
    #[must_use]
    pub fn meaning(&self, code: i32) -> Option<&'static str> {
        Some(self.0.get(&code)?.text)
    }

    /// Every code with its meaning and whether it bears on supply, by code.
    pub fn codes(&self) -> impl Iterator<Item = (i32, &'static str, bool)> {
        self.0
            .iter()
            .map(|(code, meaning)| (*code, meaning.text, meaning.signal.is_some()))
    }
}
