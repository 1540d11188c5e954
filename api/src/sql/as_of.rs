//! `{table}_as_of('2026-05-01T00:00:00+05:30')`: what stood published at an instant, or the picture of the network at one.

use std::{fmt, sync::Arc};

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::{
    catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider},
    error::{DataFusionError, Result},
    logical_expr::Expr,
    prelude::SessionContext,
    scalar::ScalarValue,
};
use gridtally_schemas::{UtcMicros, table};

use super::{
    catalog::{StoredTable, plan_view},
    definition::{self, AS_OF},
};

/// Whether a table function of this name is one of these.
pub(super) fn is_function(name: &str) -> bool {
    name.strip_suffix(AS_OF)
        .is_some_and(|table| table::published().any(|known| known.name == table))
}

/// The function of one table.
pub(super) struct AsOf {
    table: Arc<StoredTable>,
    planner: SessionContext,
    /// Zone in which an instant without offset is meant, by its IANA name.
    zone: Arc<str>,
}

impl fmt::Debug for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsOf").field(&self.name()).finish()
    }
}

impl AsOf {
    pub(super) const fn new(table: Arc<StoredTable>, planner: SessionContext, zone: Arc<str>) -> Self {
        Self { table, planner, zone }
    }

    /// Its SQL name.
    pub(super) fn name(&self) -> String {
        format!("{}{AS_OF}", self.table.schema().name)
    }

    /// The instant that an argument names.
    fn instant(&self, argument: &Expr) -> Result<UtcMicros> {
        let Expr::Literal(value, _) = argument else {
            return Err(self.refuse(&argument.to_string()));
        };
        let is_time = matches!(
            value.data_type(),
            DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Timestamp(..)
                | DataType::Date32
        );
        // By way of the zone: a time or a day without offset is meant there.
        let wanted = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(&self.zone)));
        match value.cast_to(&wanted) {
            Ok(ScalarValue::TimestampMicrosecond(Some(micros), _)) if is_time => Ok(UtcMicros(micros)),
            Ok(_) | Err(_) => Err(self.refuse(&value.to_string())),
        }
    }

    fn refuse(&self, given: &str) -> DataFusionError {
        DataFusionError::Plan(format!(
            "{}: `{given}` is not an instant; needed is a constant such as '2026-05-01T00:00:00+05:30', or without offset \
             ('2026-05-01 00:00:00', '2026-05-01') in {}",
            self.name(),
            self.zone
        ))
    }

    fn refuse_count(&self, count: usize) -> DataFusionError {
        let takes = if definition::is_effective_dated(self.table.schema()) {
            "one instant, the picture at that time, or two: the picture at the first as it was known at the second"
        } else {
            "one instant: what stood published then"
        };
        DataFusionError::Plan(format!("{} takes {takes}; {count} were given", self.name()))
    }
}

impl TableFunctionImpl for AsOf {
    fn call_with_args(&self, arguments: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let schema = self.table.schema();
        let given = arguments.exprs();
        let definition = match given {
            [at] if definition::is_effective_dated(schema) => {
                definition::picture(schema, self.instant(at)?, None)
            }
            [at, until] if definition::is_effective_dated(schema) => {
                definition::picture(schema, self.instant(at)?, Some(self.instant(until)?))
            }
            [until] => definition::standing(schema, Some(self.instant(until)?)),
            _ => return Err(self.refuse_count(given.len())),
        };
        plan_view(&self.planner, &self.table, definition)
    }
}
