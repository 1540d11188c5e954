//! The rows of a statement as they are wanted. While nobody takes any, its worker waits: between worker and client there are at most the
//! frames of its queue, which are of about [`PIECE_BYTES`] each.

use std::collections::VecDeque;

use arrow_flight::FlightData;
use futures::{Stream, stream};
use tonic::Status;

use super::{pieces::push_messages, problem, running::Entered, ticket::Errand};
use crate::sql::{Audit, Piece, Pieces, Sql, SqlError};

/// About how large a message of rows is, bytes. Clients of gRPC take 4 MiB where nobody tells them otherwise.
const PIECE_BYTES: usize = 1 << 20;

/// A result that is being made. Dropping it kills its process.
#[derive(Debug)]
pub(super) struct Rows {
    pieces: Pieces,
    ready: VecDeque<FlightData>,
    audit: Audit,
    entered: Entered,
    rows_max: usize,
    ended: bool,
}

impl Rows {
    /// Runs a statement. Returns once its columns are there, so that what cannot be planned is an error here and not in the stream.
    pub(super) async fn start(sql: &Sql, errand: Errand, entered: Entered) -> Result<Self, Status> {
        let mut entered = entered;
        let mut audit = Audit::new("flight", &errand.user, &errand.statement);
        let pieces = async {
            let begun = sql
                .pieces(&errand.statement, errand.parameters, PIECE_BYTES)
                .await;
            begun.map_err(|error| problem::of_sql(&error))
        };
        let pieces = entered
            .guard(pieces)
            .await
            .inspect_err(|status| audit.failed(&status.message()))?;
        let mut rows = Self {
            pieces,
            ready: VecDeque::new(),
            audit,
            entered,
            rows_max: sql.config().rows_max,
            ended: false,
        };
        rows.fill().await?;
        Ok(rows)
    }

    /// Sees to it that a message is ready, unless the result has ended.
    async fn fill(&mut self) -> Result<(), Status> {
        while self.ready.is_empty() && !self.ended {
            let pieces = &mut self.pieces;
            let next = async { pieces.next().await.map_err(|error| problem::of_sql(&error)) };
            let taken = match self.entered.guard(next).await {
                Ok(piece) => self.take(piece),
                Err(status) => Err(status),
            };
            taken.inspect_err(|status| self.audit.failed(&status.message()))?;
        }
        Ok(())
    }

    fn take(&mut self, piece: Piece) -> Result<(), Status> {
        match piece {
            Piece::Messages(bytes) => push_messages(bytes, &mut self.ready).map_err(|what| {
                problem::of_sql(&SqlError::Broken {
                    what: format!("its answer is not an Arrow stream: {what}"),
                })
            }),
            Piece::End { rows, truncated } => {
                self.ended = true;
                self.audit.rows = u64::try_from(rows).unwrap_or(u64::MAX);
                if truncated {
                    let rows_max = self.rows_max;
                    return Err(problem::of_sql(&SqlError::TooManyRows { rows_max }));
                }
                self.audit.done();
                Ok(())
            }
        }
    }

    async fn next(&mut self) -> Result<Option<FlightData>, Status> {
        self.fill().await?;
        let message = self.ready.pop_front();
        if let Some(message) = &message {
            let bytes = message.data_header.len().saturating_add(message.data_body.len());
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            self.audit.bytes = self.audit.bytes.saturating_add(bytes);
        }
        Ok(message)
    }

    /// Message by message; after an error there is none.
    pub(super) fn stream(self) -> impl Stream<Item = Result<FlightData, Status>> + Send {
        stream::try_unfold(self, |mut rows| async move {
            let message = rows.next().await?;
            Ok(message.map(|message| (message, rows)))
        })
    }
}
