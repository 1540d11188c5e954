//! A result as Arrow batches, for a surface that writes rows itself.

use std::collections::VecDeque;

use arrow::{array::RecordBatch, buffer::Buffer, datatypes::SchemaRef, ipc::reader::StreamDecoder};

use super::{
    SqlError,
    process::Frames,
    protocol::{Done, Frame},
};

/// A result that is being made. Dropping it kills its process.
pub(crate) struct Answer {
    frames: Frames,
    decoder: StreamDecoder,
    schema: Option<SchemaRef>,
    ready: VecDeque<RecordBatch>,
    parameters: Vec<u32>,
    done: Option<Done>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

impl Answer {
    pub(super) fn new(frames: Frames) -> Self {
        Self {
            frames,
            decoder: StreamDecoder::new(),
            schema: None,
            ready: VecDeque::new(),
            parameters: Vec::new(),
            done: None,
        }
    }

    /// Its columns; waits until the statement is planned.
    pub(crate) async fn schema(&mut self) -> Result<SchemaRef, SqlError> {
        loop {
            if let Some(schema) = &self.schema {
                return Ok(SchemaRef::clone(schema));
            }
            if self.done.is_some() {
                return Err(broken("it has no columns"));
            }
            self.take().await?;
        }
    }

    /// The types of the parameters of a statement that was described.
    pub(crate) fn parameters(&self) -> &[u32] {
        &self.parameters
    }

    /// The next batch; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            if self.done.is_some() {
                return Ok(None);
            }
            self.take().await?;
        }
    }

    /// Whether rows were cut off at the end.
    pub(crate) fn truncated(&self) -> bool {
        self.done.is_some_and(|done| done.truncated)
    }

    async fn take(&mut self) -> Result<(), SqlError> {
        match self.frames.next().await? {
            Frame::Data(bytes) => {
                let mut buffer = Buffer::from(bytes);
                while !buffer.is_empty() {
                    let batch = self.decoder.decode(&mut buffer).map_err(broken)?;
                    self.ready.extend(batch);
                }
                if self.schema.is_none() {
                    self.schema = self.decoder.schema();
                }
                Ok(())
            }
            Frame::Parameters(types) => {
                self.parameters = types;
                Ok(())
            }
            Frame::Done(done) => {
                self.done = Some(done);
                Ok(())
            }
            Frame::Failed(failure) => Err(failure.into()),
        }
    }
}

fn broken(what: impl std::fmt::Display) -> SqlError {
    SqlError::Broken {
        what: format!("its answer is not an Arrow stream: {what}"),
    }
}
