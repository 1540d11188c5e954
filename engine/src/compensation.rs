//! Compensation for broken standards of performance: rules as data, a pure rule, and a ledger that only grows.
//!
//! Promise (CMP-1): what a consumer's entries for one default add up to is the rule applied to the present evidence; entries
//! are only added, never changed or deleted. Everything here is pure: no clock, no file, no network, no randomness.
//!
//! In the order in which a rupee comes about:
//! - [`document`]: a regulation as it stands in a file; `deploy/presets/README.md` describes it key by key
//! - [`regulation`]: the same, checked: every key valid, or an error that names the key and the reason
//! - [`coverage`]: gaps and overlaps of a regulation; [`explain`]: a regulation in plain words
//! - [`evidence`]: what is known of one consumer: losses of supply, requests, voltages, claims, fixed charges
//! - [`rule`]: the regulations in force applied to the evidence: one [`rule::Decision`] for each default or near default
//! - [`in_force`]: which regulation holds where and from when on
//! - [`ledger`]: the entries that turn what stands into what is decided: accrual, adjustment, reversal
//!
//! # How it is driven
//!
//! [`crate::world`] keeps a [`ledger::Ledger`], restored from `compensation_entries`. When something of a consumer changes (an interruption,
//! a cause, a topology row, a request, a bill), and now and then while a default of his runs, it:
//! 1. gathers his [`evidence::Evidence`]: all that is known of him, for grace is once a day and caps are by the year;
//! 2. calls [`rule::RuleBook::decide`] with the configured clock's instant, which matters to running defaults only;
//! 3. calls [`ledger::Ledger::plan`] with the decisions, and [`ledger::Ledger::apply`]s the plan; the next checkpoint publishes what it
//!    added.
//!
//! `status` and `due_by` of a row are the newest version's; everything else is the same in every version. Amounts are paise; the table's
//! decimal holds the same integer.
//!
//! A plan that was published and then lost by a crash is found again in the table: the same entries carry the same ids, and
//! planning once more adds nothing. While the log is caught up after a start nothing is planned, else states that have long
//! passed would leave entries. A consumer whose evidence has vanished is planned with no decisions: all is reversed. What-if is
//! [`rule::RuleBook::decide`] with another book and no ledger.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands for it in files and tables.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    other => Err(format!("`{other}` is none of: {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}

pub mod calendar;
pub mod coverage;
pub mod document;
pub mod evidence;
pub mod explain;
pub mod in_force;
pub mod ledger;
pub mod money;
pub mod rate;
pub mod regulation;
pub mod rule;

pub use money::Paise;

#[cfg(test)]
mod rig;
#[cfg(test)]
mod tests;
