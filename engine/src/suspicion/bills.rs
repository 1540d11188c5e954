//! Bills against meter reads: the commercial audit of FRAMES (DOMAIN section 7).

use super::{Finding, Limits, MeterMonth, Period, Sign, Subject, kilowatt_hours, percent, permille};

/// Whether a bill has less energy than the validated reads of its month.
pub(super) fn find(meter: &MeterMonth, period: Period, limits: &Limits) -> Option<Finding> {
    let billed = meter.billed_wh?;
    let short = meter.validated_wh.checked_sub(billed)?;
    let value = permille(billed, meter.validated_wh);
    let is_short = short >= limits.bill_short_min_wh && value < limits.billed_min_permille;
    is_short.then(|| Finding {
        sign: Sign::BillBelowReads,
        subject: Subject::consumer(meter),
        value_permille: value,
        threshold_permille: Some(limits.billed_min_permille),
        strength_permille: Sign::BillBelowReads.strength(value, limits.billed_min_permille),
        energy_wh: Some(short),
        bound_wh: 0,
        coverage_permille: meter.coverage_permille(),
        period,
        evidence: format!(
            "billed {} of {} by the validated reads of the month: {}, less than {}",
            kilowatt_hours(billed),
            kilowatt_hours(meter.validated_wh),
            percent(value),
            percent(limits.billed_min_permille)
        ),
    })
}
