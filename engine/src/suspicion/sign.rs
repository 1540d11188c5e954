//! Signs by name, and a finding: one sign of one subject with what it rests on.

use std::{fmt, str::FromStr};

use super::{MeterMonth, Period};

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sign {
    /// A DT lost more than its lines can.
    UnaccountedEnergy,
    /// A DT delivered more than it took.
    NegativeResidual,
    /// A DT's residual stays at night.
    NightResidual,
    /// A DT's residual rises and falls with what one meter counts.
    ResidualFollows,
    /// A meter counts less since somebody was at it.
    TamperBeforeDrop,
    /// A bill has less energy than the meter's reads.
    BillBelowReads,
    /// The meter hangs on another DT than master data says.
    WrongMapping,
}

/// A name that is none of a sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no sign is called {0}")]
pub struct NoSuchSign(String);

impl Sign {
    /// Every sign.
    pub const ALL: [Self; 7] = [
        Self::UnaccountedEnergy,
        Self::NegativeResidual,
        Self::NightResidual,
        Self::ResidualFollows,
        Self::TamperBeforeDrop,
        Self::BillBelowReads,
        Self::WrongMapping,
    ];

    /// Its name in tables and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnaccountedEnergy => "unaccounted_energy",
            Self::NegativeResidual => "negative_residual",
            Self::NightResidual => "night_residual",
            Self::ResidualFollows => "residual_follows",
            Self::TamperBeforeDrop => "tamper_before_drop",
            Self::BillBelowReads => "bill_below_reads",
            Self::WrongMapping => "wrong_mapping",
        }
    }

    /// How much it says by itself at full strength, per mille: house choice, set on the synthetic fleet. A residual that follows and a bill
    /// below the reads are figures of the very energy; a drop after a tamper event may be a holiday; a wrong mapping may be an error of the
    /// index alone.
    #[must_use]
    pub const fn weight_permille(self) -> i64 {
        match self {
            Self::ResidualFollows | Self::UnaccountedEnergy => 900,
            Self::BillBelowReads => 850,
            Self::TamperBeforeDrop => 800,
            Self::NightResidual => 600,
            Self::NegativeResidual => 500,
            Self::WrongMapping => 300,
        }
    }

    /// The value, per mille, from which it is as strong as it gets.
    #[must_use]
    pub const fn sure_permille(self) -> i64 {
        match self {
            Self::UnaccountedEnergy => 150,
            Self::NegativeResidual => -150,
            Self::NightResidual => 500,
            Self::ResidualFollows => 600,
            Self::TamperBeforeDrop => 700,
            Self::BillBelowReads => 400,
            Self::WrongMapping => 1_000,
        }
    }

    /// Strength of a value: 500 at its threshold, 1,000 where it is sure, in proportion between; per mille.
    pub(super) fn strength(self, value: i64, threshold: i64) -> i64 {
        let whole = self.sure_permille() - threshold;
        if whole == 0 {
            return 1_000;
        }
        (500 + 500 * (value - threshold) / whole).clamp(500, 1_000)
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Sign {
    type Err = NoSuchSign;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|sign| sign.as_str() == text);
        found.ok_or_else(|| NoSuchSign(text.to_owned()))
    }
}

/// Of whom a finding speaks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The DT of the place.
    Dt,
    /// A consumer, by the meter that was looked at.
    Consumer {
        /// Who.
        consumer_id: String,
        /// The meter.
        meter_id: String,
    },
}

impl Subject {
    pub(super) fn consumer(meter: &MeterMonth) -> Self {
        Self::Consumer {
            consumer_id: meter.consumer_id.clone(),
            meter_id: meter.meter_id.clone(),
        }
    }
}

/// One sign of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was seen.
    pub sign: Sign,
    /// Of whom.
    pub subject: Subject,
    /// What was measured, per mille.
    pub value_permille: i64,
    /// What it is held against, per mille; `None`: the rule `wrong_mapping` has its own.
    pub threshold_permille: Option<i64>,
    /// How strong it is, per mille.
    pub strength_permille: i64,
    /// The energy of it in the period, Wh; `None`: it has none of its own.
    pub energy_wh: Option<i64>,
    /// By how much that energy may be less, for what meters did not say, Wh.
    pub bound_wh: i64,
    /// Coverage of what was looked at, the DT or the meter, per mille.
    pub coverage_permille: i64,
    /// The days looked at.
    pub period: Period,
    /// The evidence in words, with figures.
    pub evidence: String,
}

impl Finding {
    /// What it adds to a score by itself, per mille.
    #[must_use]
    pub const fn score_permille(&self) -> i64 {
        self.sign.weight_permille() * self.strength_permille / 1_000
    }
}
