//! From state to balances: gathers the member reads of dirty (feeder, interval) pairs and runs the SQL of `engine/sql` over them.
//!
//! BAL-1: energies are whole Wh, so the identities of DOMAIN section 2 hold exactly in every row, and sums of rows over nodes and time
//! are sums of Wh. The SQL text is the definition; nothing here adds to it. What a row of `member_reads` is stands in the header of
//! `sql/dt_balance.sql`.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use crate::{network::NodeIx, state::Quarter};

mod dts;
mod figures;
mod gather;
mod sql;
#[cfg(test)]
mod tests;

pub use dts::{DtList, Dts};
pub use figures::{Coverage, DtFigures, FeederFigures, FeederInterval, ratio};
pub(crate) use gather::Said;
pub use gather::{MemberReads, Part, member_reads_schema};
pub use sql::BalanceSql;

/// The DT balance, as text.
pub const DT_BALANCE_SQL: &str = include_str!("../sql/dt_balance.sql");
/// The feeder balance, as text.
pub const FEEDER_BALANCE_SQL: &str = include_str!("../sql/feeder_balance.sql");

/// A computed interval of a feeder.
pub type Computed = (NodeIx, Quarter, FeederInterval);

/// Why balances could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum BalanceError {
    /// Arrow refused the member reads.
    #[error("member reads do not form a batch")]
    Members(#[source] ArrowError),
    /// DataFusion failed.
    #[error("balance SQL failed in {step}")]
    Sql {
        /// Which of the two.
        step: &'static str,
        /// Why.
        #[source]
        source: DataFusionError,
    },
    /// The SQL gave other columns than its header says.
    #[error("balance SQL gave no column {0} of the expected type")]
    Column(&'static str),
}
