//! A small result whole, for what is written from it.

use futures::StreamExt;
use serde::Deserialize;
use serde_json::Value;

use super::{Format, Sql, SqlError};

/// Columns and rows, as `POST /sql` gives them in JSON.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "Document")]
pub(crate) struct Rows {
    /// Names of the columns.
    pub(crate) columns: Vec<String>,
    /// The rows, a value each column.
    pub(crate) rows: Vec<Vec<Value>>,
    /// Whether rows beyond the limit were cut off.
    pub(crate) truncated: bool,
}

#[derive(Deserialize)]
struct Document {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
    truncated: bool,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

impl From<Document> for Rows {
    fn from(document: Document) -> Self {
        Self {
            columns: document.columns.into_iter().map(|column| column.name).collect(),
            rows: document.rows,
            truncated: document.truncated,
        }
    }
}

impl Rows {
    /// The value of a row in the column of a name; null where there is none.
    pub(crate) fn value<'a>(&self, row: &'a [Value], column: &str) -> &'a Value {
        let at = self.columns.iter().position(|name| name == column);
        at.and_then(|at| row.get(at)).unwrap_or(&Value::Null)
    }
}

/// A value as its plain text; nothing of null.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

impl Sql {
    /// Runs one statement and gives its rows; at most as many as a result may have.
    ///
    /// # Errors
    /// [`SqlError`].
    pub(crate) async fn rows(&self, statement: &str) -> Result<Rows, SqlError> {
        let mut parts = self.query(statement, Format::Json, None).await?;
        let mut bytes = Vec::new();
        while let Some(part) = parts.next().await {
            bytes.extend_from_slice(&part?);
        }
        serde_json::from_slice(&bytes).map_err(|error| SqlError::Broken {
            what: format!("its answer holds no rows: {error}"),
        })
    }
}
