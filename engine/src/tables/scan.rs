//! A table's data files as DataFusion scans them.
//!
//! Which files are read is decided while a question is planned: by the day or month that the log names for each, then by what the log says of
//! its columns (least, greatest, nulls). Row groups and pages are left to DataFusion, which asks the files themselves. The tables have neither
//! deletion vectors nor column mapping, so that the rows of a version are the rows of its files.
//!
//! **Order.** Reads are sorted by the table's key in every file, other rows in those that compaction wrote: of such a file a meter's or a DT's rows are
//! in a page or two, and the others are not read. Rows of other tables that are fresh from a checkpoint lie in the order in which they came, so that
//! no order of a whole table is promised to the planner. It would save little: sorting what a question leaves (a month of one feeder, some thousand
//! rows) takes 0.1 to 0.3 ms of its 20 ms, and giving the rows of many days in one order would take a merge of as many streams as there are files.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{ColumnStatistics, Statistics, ToDFSchema, stats::Precision},
    config::TableParquetOptions,
    datasource::{
        listing::PartitionedFile,
        physical_plan::{
            FileGroup, FileScanConfigBuilder, ParquetSource, parquet::CachedParquetFileReaderFactory,
        },
        source::DataSourceExec,
        table_schema::TableSchema as Layout,
    },
    error::{DataFusionError, Result},
    execution::object_store::ObjectStoreUrl,
    logical_expr::{Expr, TableProviderFilterPushDown, TableType, utils::conjunction},
    physical_expr::{
        PhysicalExpr,
        expressions::not,
        simplifier::PhysicalExprSimplifier,
        utils::{collect_columns, split_conjunction},
    },
    physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder},
    physical_plan::{ExecutionPlan, empty::EmptyExec},
    scalar::ScalarValue,
};
use gridtally_schemas::table::TableSchema;
use object_store::{ObjectMeta, path::Path as StorePath};

use super::{
    listing::{DataFile, Listing},
    statistics::{self, Known},
};

/// Files of so many bytes are worth a thread of their own.
const BYTES_PER_THREAD_MIN: u64 = 128 << 10;
/// The share of rows that a condition is taken to leave of which nothing is known. Half of what DataFusion takes for a filter with a condition on
/// a text: of the two sides of a table's anti-join one has such a filter (`status`), the other a condition of which nothing is known
/// (`version >= 2`), and that one is the smaller. The 50 worst DTs of a month took a quarter longer with the other one in memory.
const SHARE_LEFT: f64 = 0.1;

/// The files of one version of a table, with exactly the columns asked for.
#[derive(Debug)]
pub struct StoredFiles {
    /// The table's columns, in its order.
    columns: SchemaRef,
    /// The columns as a scan has them: those in the files, then the one that splits the table.
    layout: Layout,
    /// For each of the columns its place in the layout.
    places: Vec<usize>,
    partition: Option<&'static str>,
    directory: StorePath,
    listing: Arc<Listing>,
}

/// Who sees to it that a condition reaches the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conditions {
    /// DataFusion's optimizer, which takes them from the filter above.
    ByTheOptimizer,
    /// The scan itself: no optimizer sees it.
    Here,
}

impl StoredFiles {
    /// `columns` are those of `schema`; instants may be in any zone.
    pub(super) fn new(
        schema: &TableSchema,
        columns: SchemaRef,
        root: &Path,
        listing: Arc<Listing>,
    ) -> Result<Self> {
        let directory = StorePath::from_absolute_path(root.join(schema.name))
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let splits = |name: &str| schema.partition == Some(name);
        let (parts, stored): (Vec<usize>, Vec<usize>) =
            (0..columns.fields().len()).partition(|at| splits(columns.field(*at).name()));
        let fields = columns.project(&stored)?;
        let parts = columns.project(&parts)?;
        let layout = Layout::builder(Arc::new(fields))
            .with_table_partition_cols(parts.fields().iter().map(Arc::clone).collect::<Vec<_>>())
            .build();
        let places = columns
            .fields()
            .iter()
            .map(|field| Ok(layout.table_schema().index_of(field.name())?))
            .collect::<Result<_>>()?;
        Ok(Self {
            columns,
            layout,
            places,
            partition: schema.partition,
            directory,
            listing,
        })
    }

    /// A scan that no optimizer is to see: the conditions, which must be such as may be evaluated on any row, are its own.
    ///
    /// # Errors
    /// When a condition does not fit the table.
    pub fn sealed(
        &self,
        session: &dyn Session,
        projection: &[usize],
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = (Some(projection), None);
        self.plan(session, wanted, (filters, Conditions::Here))
    }

    fn plan(
        &self,
        session: &dyn Session,
        (projection, limit): (Option<&[usize]>, Option<usize>),
        (filters, conditions): (&[Expr], Conditions),
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let predicate = self.predicate(session, filters)?;
        let mut files: Vec<&DataFile> = self.listing.files().collect();
        if let Some(predicate) = &predicate {
            self.leave_out(&mut files, predicate);
        }
        let share = predicate
            .as_ref()
            .map_or(1.0, |predicate| self.share(predicate, &files));
        let places = match projection {
            Some(columns) => columns
                .iter()
                .filter_map(|at| self.places.get(*at).copied())
                .collect(),
            None => self.places.clone(),
        };
        if files.is_empty() {
            let columns = self.layout.table_schema().project(&places)?;
            return Ok(Arc::new(EmptyExec::new(Arc::new(columns))));
        }
        let store_url = ObjectStoreUrl::local_filesystem();
        let runtime = session.runtime_env();
        let footers = runtime.cache_manager.get_file_metadata_cache();
        let reader = CachedParquetFileReaderFactory::new(runtime.object_store(&store_url)?, footers);
        let options = TableParquetOptions {
            global: session.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        let mut source = ParquetSource::new(self.layout.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(reader));
        if let (Some(predicate), Conditions::Here) = (predicate, conditions) {
            source = source.with_predicate(predicate);
        }
        let groups = self.groups(&files, session.config().target_partitions());
        let scan = FileScanConfigBuilder::new(store_url, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(self.statistics_of(&files, share))
            .with_projection_indices(Some(places))?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }

    /// The conditions as one, over the layout.
    fn predicate(&self, session: &dyn Session, filters: &[Expr]) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(filter) = conjunction(filters.to_vec()) else {
            return Ok(None);
        };
        let layout = Arc::clone(self.layout.table_schema()).to_dfschema()?;
        session.create_physical_expr(filter, &layout).map(Some)
    }

    /// Leaves out the files of which it is known that the condition holds for none of their rows.
    fn leave_out(&self, files: &mut Vec<&DataFile>, predicate: &Arc<dyn PhysicalExpr>) {
        let layout = Arc::clone(self.layout.table_schema());
        let builder = PruningPredicateBuilder::new().with_file_schema(layout);
        let Some(pruning) = builder.build(Arc::clone(predicate)) else {
            return;
        };
        let named: BTreeSet<String> = collect_columns(predicate)
            .iter()
            .map(|column| column.name().to_owned())
            .collect();
        if let Some(part) = self.partition.filter(|part| named.contains(*part)) {
            keep(files, &pruning, |files| Some(Known::by_part(part, files)));
        }
        let of_files: Vec<&str> = named
            .iter()
            .map(String::as_str)
            .filter(|name| self.partition != Some(*name))
            .collect();
        if !of_files.is_empty() {
            let columns = self.layout.file_schema();
            keep(files, &pruning, |files| {
                Known::by_statistics(columns, &of_files, (self.partition, files))
            });
        }
    }

    /// What share of these files' rows the condition leaves, for the planner to put the smaller side of a join into memory: all where it is
    /// known to hold for every row, else a tenth for each of its parts. The rows that supersede others are so known
    /// to be fewer than those that may be superseded, of the same files.
    fn share(&self, predicate: &Arc<dyn PhysicalExpr>, files: &[&DataFile]) -> f64 {
        let parts = split_conjunction(predicate).into_iter();
        let share = parts.map(|part| {
            if self.holds_for_all(part, files) {
                1.0
            } else {
                SHARE_LEFT
            }
        });
        share.product()
    }

    /// Whether it is known of every file that no row contradicts a condition.
    fn holds_for_all(&self, condition: &Arc<dyn PhysicalExpr>, files: &[&DataFile]) -> bool {
        let simplifier = PhysicalExprSimplifier::new(self.layout.table_schema());
        let contrary = not(Arc::clone(condition)).and_then(|contrary| simplifier.simplify(contrary));
        contrary.is_ok_and(|contrary| {
            let mut against = files.to_vec();
            self.leave_out(&mut against, &contrary);
            against.is_empty()
        })
    }

    /// The files in groups that are read beside each other, about as many bytes in each.
    fn groups(&self, files: &[&DataFile], threads: usize) -> Vec<FileGroup> {
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let worth = usize::try_from(bytes / BYTES_PER_THREAD_MIN).unwrap_or(usize::MAX);
        let files = files.iter().map(|file| self.named(file)).collect();
        FileGroup::new(files).split_files(threads.min(worth).max(1))
    }

    /// A file as a scan names it.
    fn named(&self, file: &DataFile) -> PartitionedFile {
        let part = self
            .partition
            .map(|_| ScalarValue::Date32(file.part.map(|day| day.0)));
        PartitionedFile::new_from_meta(object(&self.directory, file))
            .with_partition_values(part.into_iter().collect())
    }

    /// How many rows and bytes there are, of which a condition leaves a share; nothing of columns, of which the log gives bounds and not values.
    fn statistics_of(&self, files: &[&DataFile], share: f64) -> Statistics {
        let rows: Option<Vec<usize>> = files.iter().map(|file| statistics::rows(file)).collect();
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let columns = self.layout.table_schema().fields().len();
        let all = Statistics {
            num_rows: rows.map_or(Precision::Absent, |rows| Precision::Exact(rows.iter().sum())),
            total_byte_size: Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX)),
            column_statistics: vec![ColumnStatistics::new_unknown(); columns],
        };
        if share < 1.0 {
            Statistics {
                num_rows: all.num_rows.with_estimated_selectivity(share),
                total_byte_size: all.total_byte_size.with_estimated_selectivity(share),
                ..all
            }
        } else {
            all
        }
    }
}

/// Where a file is, as caches of footers know it.
pub(super) fn object(directory: &StorePath, file: &DataFile) -> ObjectMeta {
    ObjectMeta {
        location: StorePath::from(format!("{directory}/{}", file.path)),
        // A file never changes.
        last_modified: Default::default(),
        size: file.bytes,
        e_tag: None,
        version: None,
    }
}

/// Leaves out the files of which it is known that the condition holds for none of their rows.
fn keep<'a>(
    files: &mut Vec<&'a DataFile>,
    pruning: &PruningPredicate,
    known: impl Fn(&[&'a DataFile]) -> Option<Known>,
) {
    let Some(kept) = known(files).and_then(|known| pruning.prune(&known).ok()) else {
        return;
    };
    let mut kept = kept.into_iter();
    files.retain(|_| kept.next().unwrap_or(true));
}

#[async_trait]
impl TableProvider for StoredFiles {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = (projection.map(Vec::as_slice), limit);
        self.plan(session, wanted, (filters, Conditions::ByTheOptimizer))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
