//! One list of all signs: who to look at first.

use std::collections::BTreeMap;

use super::{Finding, Subject};

/// A subject with all that was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect<'a, K> {
    /// Where: whatever tells places apart.
    pub place: K,
    /// Who.
    pub subject: &'a Subject,
    /// `1 - product of (1 - weight x strength)` over its signs, per mille.
    pub score_permille: i64,
    /// The greatest energy that one of them speaks of, Wh.
    pub energy_wh: i64,
    /// The signs, in their order.
    pub findings: Vec<&'a Finding>,
}

impl<K> Suspect<'_, K> {
    /// The greatest energy times strength of its signs, Wh: by what a list of DTs is ordered.
    #[must_use]
    pub fn weighed_wh(&self) -> i64 {
        let weighed = |found: &&Finding| {
            let energy = found.energy_wh.unwrap_or(0).saturating_abs();
            super::part_of(energy, found.strength_permille)
        };
        self.findings.iter().map(weighed).max().unwrap_or(0)
    }
}

/// Ranks subjects: the higher score first, of equals the greater energy, then the lesser place and id.
pub fn rank<'a, K: Ord + Clone + 'a>(
    findings: impl IntoIterator<Item = (K, &'a Finding)>,
) -> Vec<Suspect<'a, K>> {
    let mut by_subject: BTreeMap<(K, &Subject), Vec<&Finding>> = BTreeMap::new();
    for (place, finding) in findings {
        by_subject
            .entry((place, &finding.subject))
            .or_default()
            .push(finding);
    }
    let of_subject = |((place, subject), mut findings): ((K, &'a Subject), Vec<&'a Finding>)| {
        findings.sort_by_key(|finding| finding.sign);
        // What is left of doubt, millionths; cut alike for any order of arrival, for the signs are sorted.
        let doubt = findings.iter().fold(1_000_000, |doubt, finding| {
            doubt * (1_000 - finding.score_permille()) / 1_000
        });
        Suspect {
            place,
            subject,
            score_permille: (1_000_000 - doubt) / 1_000,
            energy_wh: findings
                .iter()
                .filter_map(|finding| finding.energy_wh)
                .max()
                .unwrap_or(0),
            findings,
        }
    };
    let mut ranked: Vec<Suspect<'a, K>> = by_subject.into_iter().map(of_subject).collect();
    // Stable: equals stay in the order of place and id.
    ranked.sort_by_key(|suspect| std::cmp::Reverse((suspect.score_permille, suspect.energy_wh)));
    ranked
}
