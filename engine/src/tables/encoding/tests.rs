use std::{collections::BTreeSet, fs::File, sync::Arc};

use arrow::{
    array::{ArrayRef, StringArray},
    datatypes::Field,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::table;
use parquet::{
    basic::Encoding,
    file::{
        metadata::ColumnChunkMetaData,
        reader::{FileReader, SerializedFileReader},
    },
};

use super::*;
use crate::tables::{
    Tables,
    tests::{DAY, append, data_files, open, reads, rows},
};

/// The column chunks of every data file of a table.
fn chunks(tables: &Tables, schema: &TableSchema) -> Vec<ColumnChunkMetaData> {
    data_files(&tables.directory_of(schema))
        .iter()
        .flat_map(|path| {
            let file = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
            let groups = file.metadata().row_groups().iter();
            groups
                .flat_map(|group| group.columns().to_vec())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The encodings of one column, without that of its levels.
fn encodings(chunks: &[ColumnChunkMetaData], column: &str) -> BTreeSet<String> {
    chunks
        .iter()
        .filter(|chunk| chunk.column_path().string() == column)
        .flat_map(|chunk| {
            chunk
                .encodings()
                .map(|encoding| encoding.to_string())
                .collect::<Vec<_>>()
        })
        .filter(|name| *name != Encoding::RLE.to_string())
        .collect()
}

fn named<const N: usize>(encodings: [Encoding; N]) -> BTreeSet<String> {
    encodings.iter().map(ToString::to_string).collect()
}

fn ids(ids: impl Iterator<Item = String>) -> RecordBatch {
    let ids: ArrayRef = Arc::new(ids.map(Some).collect::<StringArray>());
    let schema = Schema::new(vec![Field::new("meter_id", DataType::Utf8, false)]);
    RecordBatch::try_new(Arc::new(schema), vec![ids]).unwrap()
}

#[test]
fn runs_are_long_from_sixteen_rows_of_a_meter_on() {
    let of = |rows_each: usize| {
        let batch = ids((0..480).map(|row| format!("MH{:04}", row / rows_each)));
        Runs::of(&INTERVAL_READS, &batch)
    };
    assert_eq!(of(1), Runs::Short);
    assert_eq!(of(15), Runs::Short);
    assert_eq!(of(16), Runs::Long);
    assert_eq!(of(480), Runs::Long);
}

#[tokio::test(flavor = "multi_thread")]
async fn spark_reads_every_encoding_of_every_table() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    let known = named([
        Encoding::PLAIN,
        Encoding::RLE_DICTIONARY,
        Encoding::DELTA_BINARY_PACKED,
        Encoding::DELTA_BYTE_ARRAY,
    ]);
    for schema in table::published() {
        let batch = rows(schema, 0..2_000, |_| DAY);
        tables.append(schema, batch, Position(1)).await.unwrap();
        let chunks = chunks(&tables, schema);
        assert!(!chunks.is_empty(), "{}", schema.name);
        for chunk in &chunks {
            let name = chunk.column_path().string();
            let used = encodings(&chunks, &name);
            assert!(used.is_subset(&known), "{}.{name}: {used:?}", schema.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn energies_are_differences_where_a_meter_has_a_run_of_rows_and_what_repeats_is_bare() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    append(&tables, reads(0..9_600), 1).await;
    let long = chunks(&tables, &INTERVAL_READS);
    assert_eq!(
        encodings(&long, "import_wh"),
        named([Encoding::DELTA_BINARY_PACKED])
    );
    assert_eq!(encodings(&long, "position"), named([Encoding::PLAIN]));
    assert_eq!(
        encodings(&long, "meter_id"),
        named([Encoding::PLAIN, Encoding::RLE_DICTIONARY])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_prefixes_where_a_dictionary_of_them_does_not_pay() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    // One row in 96 of a hundred thousand meters' and more: each of another meter.
    let all = reads(0..96 * 6_000);
    let every: Vec<u32> = (0..6_000).map(|meter| meter * 96).collect();
    let every = arrow::array::UInt32Array::from(every);
    let few = arrow::compute::take_record_batch(&all, &every).unwrap();
    append(&tables, few, 1).await;
    let short = chunks(&tables, &INTERVAL_READS);
    assert!(encodings(&short, "meter_id").contains(&Encoding::DELTA_BYTE_ARRAY.to_string()));
    assert_eq!(
        encodings(&short, "import_wh"),
        named([Encoding::PLAIN, Encoding::RLE_DICTIONARY])
    );
}
