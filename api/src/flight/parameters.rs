//! Parameters of a prepared statement: what a client sends as a batch of one row, as values of SQL.
//!
//! What comes is not trusted: types that are not listed, compressed bodies (whose length is what they say it is) and more than one row are
//! refused before a value is looked at, and what the decoder cannot bear ends with its own task.

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Field, Schema, TimeUnit},
    ipc::root_as_message,
};
use arrow_flight::{FlightData, utils::flight_data_to_batches};
use futures::{Stream, StreamExt};
use tonic::Status;

use super::problem::{invalid, status};
use crate::sql::{
    Given, Parameter,
    postgres::types::{self, TEXT, UNSPECIFIED},
};

/// Most bytes of the values of a statement.
pub(super) const PARAMETER_BYTES_MAX: usize = 1 << 20;
/// Most messages that they come in.
const MESSAGES_MAX: usize = 16;

/// The types of a statement's parameters as a client is told; they are named by their numbers.
pub(super) fn schema(oids: &[u32]) -> Schema {
    let fields: Vec<Field> = (1_usize..)
        .zip(oids)
        .map(|(number, oid)| Field::new(format!("${number}"), arrow_type(*oid), true))
        .collect();
    Schema::new(fields)
}

fn arrow_type(oid: u32) -> DataType {
    match types::by_oid(oid).map_or("text", |kind| kind.name) {
        "bool" => DataType::Boolean,
        "int2" => DataType::Int16,
        "int4" => DataType::Int32,
        "int8" | "oid" => DataType::Int64,
        "float4" => DataType::Float32,
        "float8" => DataType::Float64,
        "numeric" => DataType::Decimal128(38, 9),
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => DataType::Utf8,
    }
}

/// What a client sends: the values of its one row; empty: it sent none.
pub(super) async fn read(
    messages: impl Stream<Item = Result<FlightData, Status>> + Send,
) -> Result<Vec<Parameter>, Status> {
    let mut messages = std::pin::pin!(messages);
    let (mut taken, mut bytes) = (Vec::new(), 0_usize);
    while let Some(message) = messages.next().await {
        let message = message?;
        bytes = bytes
            .saturating_add(message.data_header.len())
            .saturating_add(message.data_body.len());
        if bytes > PARAMETER_BYTES_MAX || taken.len() >= MESSAGES_MAX {
            return Err(status(
                tonic::Code::ResourceExhausted,
                format!("parameters of a statement are at most {PARAMETER_BYTES_MAX} bytes in one row"),
            ));
        }
        taken.push(message);
    }
    let decoded = tokio::task::spawn_blocking(move || decode(&taken)).await;
    decoded.unwrap_or_else(|_| Err(invalid("the parameters are not an Arrow stream")))
}

fn decode(messages: &[FlightData]) -> Result<Vec<Parameter>, Status> {
    let not_arrow =
        |error: &dyn std::fmt::Display| invalid(format!("the parameters are not an Arrow stream: {error}"));
    let Some(first) = messages.first() else {
        return Ok(Vec::new());
    };
    let schema = Schema::try_from(first).map_err(|error| not_arrow(&error))?;
    for (number, field) in (1_usize..).zip(schema.fields()) {
        if oid_of(field.data_type()).is_none() {
            return Err(invalid(format!(
                "parameter {number} is of the Arrow type {}, which is not taken; send it as text",
                field.data_type()
            )));
        }
    }
    for message in messages.iter().skip(1) {
        let head = root_as_message(&message.data_header).map_err(|error| not_arrow(&error))?;
        let batch = head.header_as_record_batch();
        let batch = batch.ok_or_else(|| not_arrow(&"after its columns there are only rows"))?;
        if batch.compression().is_some() {
            return Err(invalid("parameters are taken uncompressed"));
        }
        if batch.length() > 1 {
            return Err(one_row());
        }
    }
    let batches = flight_data_to_batches(messages).map_err(|error| not_arrow(&error))?;
    let mut with_rows = batches.iter().filter(|batch| batch.num_rows() > 0);
    match (with_rows.next(), with_rows.next()) {
        (None, _) => Ok(Vec::new()),
        (Some(batch), None) => values(batch),
        (Some(_), Some(_)) => Err(one_row()),
    }
}

fn one_row() -> Status {
    invalid("a statement runs with one row of parameters at a time")
}

/// The values of a batch's first row.
fn values(batch: &RecordBatch) -> Result<Vec<Parameter>, Status> {
    batch.columns().iter().map(value).collect()
}

fn value(column: &ArrayRef) -> Result<Parameter, Status> {
    let kind = column.data_type();
    let oid = oid_of(kind).ok_or_else(|| invalid(format!("the Arrow type {kind} is not taken")))?;
    if column.is_null(0) || *kind == DataType::Null {
        return Ok(Parameter {
            oid,
            value: Given::Null,
        });
    }
    let as_type = |values: &ArrayRef, wanted: &DataType| {
        cast(values, wanted).map_err(|error| invalid(error.to_string()))
    };
    let mut first = column.slice(0, 1);
    // An instant is told in UTC, whatever zone it came with.
    if let DataType::Timestamp(unit, Some(_)) = kind {
        first = as_type(&first, &DataType::Timestamp(*unit, Some("UTC".into())))?;
    }
    let text = as_type(&first, &DataType::Utf8)?;
    let text = text.as_string::<i32>();
    if text.is_null(0) {
        return Err(invalid(format!(
            "a parameter of the Arrow type {kind} cannot be read"
        )));
    }
    Ok(Parameter {
        oid,
        value: Given::Text(text.value(0).to_owned()),
    })
}

/// The type that a value of an Arrow type has in a statement; `None`: it is not taken.
#[expect(clippy::wildcard_enum_match_arm, reason = "a list of what is taken")]
fn oid_of(kind: &DataType) -> Option<u32> {
    match kind {
        DataType::Null => Some(UNSPECIFIED),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(TEXT),
        DataType::UInt64 => Some(types::of(&DataType::Decimal128(20, 0))),
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Date32
        | DataType::Timestamp(..) => Some(types::of(kind)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
