//! Questions to files, by DataFusion here and by DuckDB in Python.

use std::{path::PathBuf, time::Instant};

use arrow::array::{Array, AsArray, RecordBatch};
use datafusion::prelude::{ParquetReadOptions, SessionContext};

use crate::{
    ROUNDS, Weighed,
    script::{printed, python},
};

/// Files that hold all rows together.
#[derive(Debug, Clone)]
pub struct File {
    pub name: String,
    pub paths: Vec<PathBuf>,
    /// What writing them took, by one thread.
    pub seconds: Option<f64>,
}

/// What is asked of a view `reads`.
fn questions(rows: &RecordBatch) -> [String; 3] {
    let ids = rows.column_by_name("meter_id").unwrap().as_string::<i32>();
    let ends = rows.column_by_name("interval_end").unwrap();
    let ends = ends.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    let (id, end) = (ids.value(ids.len() / 2), ends.value(ends.len() / 2));
    let end = gridtally_schemas::UtcMicros(end).to_rfc3339(&gridtally_fleet::FleetConfig::demo().zone);
    [
        format!("SELECT SUM(import_wh), MAX(voltage_v), MAX(received_at) FROM reads WHERE meter_id = '{id}'"),
        format!(
            "SELECT SUM(import_wh), COUNT(*), MAX(voltage_v) FROM reads WHERE interval_end = TIMESTAMP WITH TIME ZONE '{end}'"
        ),
        "SELECT SUM(import_wh), SUM(import_vah), MAX(voltage_v) FROM reads WHERE version >= 1".to_owned(),
    ]
}

/// Milliseconds of each question to each of some files: the middle of rounds.
pub async fn ask(files: &[File], rows: &RecordBatch) {
    let questions = questions(rows);
    let duckdb = by_duckdb(files, &questions);
    println!(
        "\n| Files | bytes a read | written, s | a meter's reads | an interval | the sum of all | by DuckDB: a meter's reads | an interval | the sum of all |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut first: Option<Vec<String>> = None;
    for (file, by_duckdb) in files.iter().zip(duckdb) {
        let (mut told, mut answers) = (Vec::new(), Vec::new());
        for question in &questions {
            let mut rounds = Vec::new();
            for _ in 0..ROUNDS {
                let began = Instant::now();
                let answer = by_datafusion(file, question).await;
                rounds.push(began.elapsed().as_secs_f64() * 1e3);
                answers.push(answer);
            }
            told.push(middle(rounds));
        }
        assert_eq!(
            first.get_or_insert_with(|| answers.clone()),
            &answers,
            "{}",
            file.name
        );
        let all: Vec<String> = told
            .iter()
            .chain(&by_duckdb)
            .map(|ms| format!("{ms:.1}"))
            .collect();
        let seconds = file
            .seconds
            .map_or_else(String::new, |seconds| format!("{seconds:.2}"));
        let bytes = Weighed::of(&file.paths).bytes_a_read();
        println!("| {} | {bytes:.2} | {seconds} | {} |", file.name, all.join(" | "));
    }
}

fn middle(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

async fn by_datafusion(file: &File, question: &str) -> String {
    let context = SessionContext::new();
    let paths: Vec<String> = file
        .paths
        .iter()
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    let reads = context
        .read_parquet(paths, ParquetReadOptions::default())
        .await
        .unwrap();
    context.register_table("reads", reads.into_view()).unwrap();
    let answer = context.sql(question).await.unwrap().collect().await.unwrap();
    arrow::util::pretty::pretty_format_batches(&answer)
        .unwrap()
        .to_string()
}

/// The same in milliseconds by DuckDB, whose answers the script compares.
fn by_duckdb(files: &[File], questions: &[String]) -> Vec<Vec<f64>> {
    let named: Vec<&Vec<PathBuf>> = files.iter().map(|file| &file.paths).collect();
    let said = printed(
        python("storage/duckdb_files.py")
            .arg(ROUNDS.to_string())
            .arg(serde_json::to_string(&named).unwrap())
            .arg(serde_json::to_string(questions).unwrap()),
    );
    said.lines()
        .map(|line| serde_json::from_str::<Vec<Vec<f64>>>(line).unwrap())
        .map(|questions| questions.into_iter().map(middle).collect())
        .collect()
}
