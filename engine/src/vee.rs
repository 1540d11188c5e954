//! Validation and estimation (VEE): what is wrong with what meters said, and what stands where they said nothing.
//!
//! Promises:
//! - **VEE-1**: nothing here changes or removes what a meter said. A rule objects; an estimate fills an interval that has no value,
//!   names its method and inputs, and gives way to the meter's own value when that comes.
//! - **ORD-1**: what a rule finds and what an estimate is are functions of the standing values, registers, master data and limits
//!   alone, never of the order in which those came. A day is judged anew when one of them changes; time only decides from when on a
//!   day is judged.
//! - estimates are made of meters' own values only, never of other estimates.
//!
//! A hard rule looks at one read and its arrival, so it can be decided when the read comes: the read goes to `quarantine` whole and
//! counts in nothing. A soft rule looks at a meter's civil day (`wrong_mapping` at a week of its feeder): the value counts, and
//! `vee_exceptions` says what is wrong.
//!
//! | Rule | Kind | Objects to |
//! |---|---|---|
//! | `unknown_meter` | hard, held | a meter that no master data names; released when some does |
//! | `off_interval_grid` | hard | an interval that ends at no quarter hour |
//! | `future` | hard | an interval that ends after its read came, by more than a day |
//! | `too_old` | hard, off by default | an interval that ended longer before its read came than is allowed |
//! | `negative` | hard | an energy below zero |
//! | `out_of_range` | hard | an energy above 1 GWh in one interval |
//! | duplicate | counted | the same content again: `reads_duplicate` counts it, nothing is wrong |
//! | `reported_missing` | soft | a read without value: the source itself says that it has none |
//! | `gap` | soft | intervals without value, once their day is past the estimation grace |
//! | `wrong_length` | soft | values where no interval of the meter ends, or a quarter-hour meter that counts in half hours |
//! | `above_capacity` | soft | more than the connection or the transformer can carry |
//! | `spike` | soft | far above the meter's own recent intervals |
//! | `stuck` | soft | the same non-zero energy for hours on end |
//! | `long_zero` | soft | no energy for a day while the meter of the DT counts |
//! | `register_mismatch` | soft | a day's intervals that do not sum up to the difference of its midnight registers |
//! | `register_rollover` | soft | a register that passed its last digit; the difference is taken across it |
//! | `register_reset` | soft | a register that stands lower than the day before: another meter, or reset |
//! | `kvah_below_kwh` | soft | less apparent energy than active energy |
//! | `voltage_out_of_range` | soft | a voltage that no low-tension connection in service has |
//! | `clock_drift` | soft | a read that was made before its interval ended, by the source's own clock |
//! | `export_at_night` | soft | energy given to the network while the sun is down |
//! | `negative_balance` | soft | a DT that delivered more than it took: a multiplying factor or a mapping is wrong |
//! | `wrong_mapping` | soft, by week | a meter that hangs on another DT than master data says, by its voltage and the residuals of DTs |
//!
//! An exception is named by meter, interval and rule. Objections to intervals that follow one another are one exception, at the
//! first of them, so that a meter that is dead for a day makes one row and not 96.
//!
//! - [`rule`], [`limits`]: the rules by name, and what they measure against
//! - [`day`]: the civil day of a meter, as rules and estimates see it
//! - [`validate`], [`register`]: the soft rules over a day
//! - [`mapping`]: the one over a week, of all meters of a feeder together
//! - [`estimate`], [`apportion`]: what stands where no value came

pub mod apportion;
pub mod day;
pub mod estimate;
pub mod limits;
pub mod mapping;
pub mod register;
pub mod rule;
pub mod validate;

pub use day::{Context, MeterDay, Part};
pub use estimate::{Estimate, Method};
pub use limits::{CategoryLimits, Limits, MappingLimits, VeeLimits};
pub use rule::{Kind, Rule};
pub use validate::Exception;
