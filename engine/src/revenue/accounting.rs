//! Energy accounting of a node over some months (BEE 2021: Bureau of Energy Efficiency, Manner and Intervals for Conduct of Energy Audit in
//! Electricity Distribution Companies, Regulations 2021; DOMAIN section 8).
//!
//! ```text
//! billing efficiency BE    = energy billed / input energy
//! collection efficiency CE = collected / demanded, arrears on neither side
//! AT&C loss                = 1 - BE x CE
//! ```
//!
//! BE is of the feeder-months whose loss is known ([`super::FeederMonth`]: the month is over, each day has a balance, enough of the input is
//! known, it was billed); how many of how many is told beside it. CE is of the bills of which it is said what was paid, once these are enough
//! of the demand: an unsaid payment is not taken for none. The State's subsidy stands on neither side of CE, for no file says whether it was
//! paid (house choice).

use super::Total;
use crate::balance::ratio;

impl Total {
    /// Energy billed for energy input, per cent; `None`: of no feeder-month is the loss known.
    #[must_use]
    pub fn billing_efficiency_pct(&self) -> Option<f64> {
        let (input_wh, billed_wh) = self.whole_wh;
        (input_wh > 0).then(|| 100.0 * ratio(billed_wh, input_wh))
    }

    /// What was collected of what was demanded, arrears on neither side, per cent; `None`: nothing was demanded, or of less than `known_pct`
    /// per cent of the demand it is said what was paid.
    #[must_use]
    pub fn collection_efficiency_pct(&self, known_pct: f64) -> Option<f64> {
        let demanded_paise = self.billed.demanded_paise();
        let collection = self.billed.collection;
        let is_known = demanded_paise > 0
            && collection.demanded_paise > 0
            && 100.0 * ratio(collection.demanded_paise, demanded_paise) >= known_pct;
        is_known.then(|| 100.0 * ratio(collection.current_paise, collection.demanded_paise))
    }

    /// Aggregate technical and commercial loss, per cent; `None`: one of the efficiencies is not known.
    #[must_use]
    pub fn atc_loss_pct(&self, known_pct: f64) -> Option<f64> {
        let billing = self.billing_efficiency_pct()?;
        let collection = self.collection_efficiency_pct(known_pct)?;
        Some(100.0 * (1.0 - billing / 100.0 * (collection / 100.0)))
    }
}

#[cfg(test)]
mod tests;
