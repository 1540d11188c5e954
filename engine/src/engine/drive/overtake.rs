//! Power events overtake interval reads: what they mean is told within a fraction of a second, however long the log is that waits and
//! however long a tick takes.
//!
//! Of a long log only the events are heard before their turn ([`World::hear_ahead`]). They are evidence, which is a set, so nothing is
//! counted twice, and no result depends on who was faster (ORD-1); rows, counts and reads keep their order. What they mean is part of the
//! picture, and so of the next checkpoint, before the position of their record is. So a restart first hears all that waits in the log: what
//! was published of it stands from the first tick on.

use std::time::{Duration, Instant};

use gridtally_ingest::log::LogBatch;
use gridtally_schemas::{Publish, record};

use super::{APPLY_BYTES, Driver};
use crate::{
    engine::{EngineError, Store},
    world::World,
};

/// How long at most until somebody looks what the events mean that came.
const OVERTAKE: Duration = Duration::from_millis(200);
/// Fewest records that wait in the log for events to be looked for among them: fewer are applied as soon.
const RECORDS_AHEAD_MIN: u64 = 512;
/// How long the log is looked through at a time.
const AHEAD_TIME: Duration = Duration::from_millis(100);

impl<S: Store> Driver<S> {
    /// Hears what waits in the log and looks what came of it, a few times a second and at most half of the time.
    pub(super) async fn overtake(&mut self) -> Result<(), EngineError> {
        let started = Instant::now();
        if started < self.next_overtake {
            return Ok(());
        }
        self.hear_ahead(RECORDS_AHEAD_MIN, AHEAD_TIME)?;
        if self.read(World::has_outage_news) {
            let now = self.clock.now();
            self.look_for_outages(now).await?;
        }
        let took = started.elapsed();
        self.next_overtake = started + OVERTAKE.max(took + took);
        Ok(())
    }

    /// Hears the events of all that waits in the log.
    pub(super) fn hear_all_ahead(&mut self) -> Result<(), EngineError> {
        self.hear_ahead(1, Duration::MAX)
    }

    /// Hears the events among the records that wait in the log, where these are at least so many.
    fn hear_ahead(&mut self, records_min: u64, time: Duration) -> Result<(), EngineError> {
        let (applied, end) = (self.read(World::applied), self.log.end());
        if end.0.saturating_sub(applied.0) < records_min {
            self.ahead = None;
            return Ok(());
        }
        let mut reader = match self.ahead.take().filter(|reader| reader.position() >= applied) {
            Some(reader) => reader,
            None => self.log.reader(applied).map_err(EngineError::Log)?,
        };
        let started = Instant::now();
        let (mut batch, mut publish) = (LogBatch::default(), Publish::default());
        while started.elapsed() < time && reader.read(&mut batch, APPLY_BYTES).map_err(EngineError::Log)? > 0
        {
            self.hear_batch(&batch, &mut publish)?;
        }
        self.ahead = Some(reader);
        Ok(())
    }

    fn hear_batch(&self, batch: &LogBatch, publish: &mut Publish) -> Result<(), EngineError> {
        for (position, bytes) in batch.iter() {
            let failed = |source| EngineError::Record { position, source };
            if let Some((received_at, protobuf)) = record::publish_with_events(bytes).map_err(failed)? {
                record::decode_publish(protobuf, publish).map_err(failed)?;
                self.write(|world| world.hear_ahead(received_at, publish));
            }
        }
        Ok(())
    }
}
