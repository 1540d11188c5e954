//! Pieces of an Arrow IPC stream as messages of Flight, which share the pieces' bytes: nothing is decoded or copied.
//!
//! A message of the stream is `FFFFFFFF`, the length of its metadata (four bytes, little-endian), the metadata, the body; the metadata says
//! how long the body is. A length of nothing is the end (Arrow columnar format, "encapsulated message format").

use std::collections::VecDeque;

use arrow::ipc::root_as_message;
use arrow_flight::FlightData;
use bytes::Bytes;

const MARK: u32 = u32::MAX;
const HEAD_BYTES: usize = 8;

/// Adds the messages of a piece, which are whole.
///
/// # Errors
/// It is not made of messages of a stream.
pub(super) fn push_messages(mut piece: Bytes, messages: &mut VecDeque<FlightData>) -> Result<(), String> {
    while !piece.is_empty() {
        let head = take(&mut piece, HEAD_BYTES)?;
        let mark = head.get(..4).and_then(|bytes| bytes.try_into().ok());
        let length = head.get(4..).and_then(|bytes| bytes.try_into().ok());
        let (Some(mark), Some(length)) = (mark.map(u32::from_le_bytes), length.map(u32::from_le_bytes))
        else {
            return Err("a message is cut off".to_owned());
        };
        if mark != MARK {
            return Err("a message has no mark".to_owned());
        }
        if length == 0 {
            continue;
        }
        let length = usize::try_from(length).map_err(|error| error.to_string())?;
        let metadata = take(&mut piece, length)?;
        let body_bytes = root_as_message(&metadata)
            .map_err(|error| error.to_string())?
            .bodyLength();
        let body_bytes = usize::try_from(body_bytes).map_err(|error| error.to_string())?;
        let body = take(&mut piece, body_bytes)?;
        messages.push_back(FlightData {
            flight_descriptor: None,
            data_header: metadata,
            app_metadata: Bytes::new(),
            data_body: body,
        });
    }
    Ok(())
}

fn take(piece: &mut Bytes, bytes: usize) -> Result<Bytes, String> {
    if piece.len() < bytes {
        return Err("a message is cut off".to_owned());
    }
    Ok(piece.split_to(bytes))
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, sync::Arc};

    use arrow::{
        array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray, types::Int8Type},
        ipc::writer::StreamWriter,
    };
    use arrow_flight::decode::FlightRecordBatchStream;
    use bytes::Bytes;
    use futures::{TryStreamExt, stream};

    use super::push_messages;

    fn written(batches: &[RecordBatch]) -> Vec<u8> {
        let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
        for batch in batches {
            writer.write(batch).unwrap();
        }
        writer.into_inner().unwrap()
    }

    #[tokio::test]
    async fn a_stream_becomes_messages_that_say_the_same() {
        let kinds: DictionaryArray<Int8Type> = ["a", "b", "a"].into_iter().collect();
        let columns: [(&str, ArrayRef); 3] = [
            ("count", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))),
            ("name", Arc::new(StringArray::from(vec!["x", "é", ""]))),
            ("kind", Arc::new(kinds)),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let batches = [batch.clone(), batch.slice(1, 2), batch.slice(0, 0)];
        let mut messages = VecDeque::new();
        push_messages(written(&batches).into(), &mut messages).unwrap();
        let messages = stream::iter(messages.into_iter().map(Ok));
        let read = FlightRecordBatchStream::new_from_flight_data(messages);
        assert_eq!(read.try_collect::<Vec<_>>().await.unwrap(), batches);
    }

    #[test]
    fn what_is_no_stream_is_refused_wherever_it_is_cut() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let bytes = Bytes::from(written(&[batch]));
        let mut whole = 0;
        for end in 0..=bytes.len() {
            let mut messages = VecDeque::new();
            if push_messages(bytes.slice(..end), &mut messages).is_ok() {
                whole += 1;
            }
        }
        // Nothing, the columns, the row, the end.
        assert_eq!(whole, 4);
        for at in 0..bytes.len() {
            let mut other = bytes.to_vec();
            other[at] ^= 0x55;
            let _ = push_messages(other.into(), &mut VecDeque::new());
        }
    }
}
