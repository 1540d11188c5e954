//! What is sent to a client, and what ends the wait for it.

use std::{future::Future, io, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::watch,
};

use super::super::problem::Problem;

/// A client that does not read for so long is left.
const STALL: Duration = Duration::from_secs(60);
/// Why a step of a session ended.
#[derive(Debug)]
pub(in crate::pg) enum Trouble {
    /// The client is told.
    Told(Problem),
    /// Nobody is there to be told.
    Gone,
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Told(problem)
    }
}

impl From<io::Error> for Trouble {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// What is sent to a client.
pub(in crate::pg) struct Out {
    pub(in crate::pg) writer: Box<dyn AsyncWrite + Send + Unpin>,
    pub(in crate::pg) buffer: BytesMut,
    sent: u64,
}

impl Out {
    pub(in crate::pg) fn new(writer: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        Self {
            writer,
            buffer: BytesMut::new(),
            sent: 0,
        }
    }

    /// Sends what was collected.
    pub(in crate::pg) async fn flush(&mut self) -> io::Result<()> {
        let sending = async {
            self.writer.write_all(&self.buffer).await?;
            self.writer.flush().await
        };
        tokio::time::timeout(STALL, sending)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the client does not read"))??;
        self.sent = self
            .sent
            .saturating_add(u64::try_from(self.buffer.len()).unwrap_or(u64::MAX));
        self.buffer.clear();
        Ok(())
    }

    pub(in crate::pg) fn written(&self) -> u64 {
        self.sent
            .saturating_add(u64::try_from(self.buffer.len()).unwrap_or(u64::MAX))
    }
}

/// Ends what a session waits for: a request to cancel, or an end of the connection.
#[derive(Debug, Clone)]
pub(in crate::pg) struct Interrupt {
    /// Counts requests to cancel.
    pub(in crate::pg) cancel: watch::Receiver<u64>,
    /// Those before what runs now.
    seen: u64,
    /// Turns true when the connection has ended.
    pub(in crate::pg) gone: watch::Receiver<bool>,
}

impl Interrupt {
    pub(in crate::pg) const fn new(cancel: watch::Receiver<u64>, gone: watch::Receiver<bool>) -> Self {
        Self {
            cancel,
            seen: 0,
            gone,
        }
    }

    /// Requests that came before now were for something else.
    pub(in crate::pg) fn begin(&mut self) {
        self.seen = *self.cancel.borrow();
    }

    pub(in crate::pg) async fn guard<T>(
        &self,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Trouble> {
        let (mut cancel, mut gone) = (self.cancel.clone(), self.gone.clone());
        tokio::select! {
            outcome = work => Ok(outcome?),
            Ok(_) = cancel.wait_for(|count| *count != self.seen) => Err(Problem::canceled().into()),
            Ok(_) = gone.wait_for(|gone| *gone) => Err(Trouble::Gone),
        }
    }
}
