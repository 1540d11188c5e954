//! Counters of everything that came in and how it was answered.
//!
//! Counters only grow, from 0 at the start of the process. Whoever handles many publishes at once counts them in a [`Tally`] of
//! its own and adds that once: the shared counters are then touched once per socket read, not once per publish.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use gridtally_schemas::Publish;

#[cfg(test)]
mod tests;

macro_rules! counters {
    ($($(#[doc = $about:literal])+ $name:ident),+ $(,)?) => {
        /// Counts of one batch, not yet shared.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Tally {
            $($(#[doc = $about])+ pub $name: u64,)+
        }

        /// Counters shared by all ways in.
        #[derive(Debug, Default)]
        pub struct IngestMetrics {
            $($name: AtomicU64,)+
            connections_open: AtomicU64,
            rate: Mutex<VecDeque<(Instant, u64)>>,
        }

        impl IngestMetrics {
            /// Adds a batch.
            pub fn add(&self, tally: &Tally) {
                $(if tally.$name > 0 {
                    self.$name.fetch_add(tally.$name, Ordering::Relaxed);
                })+
            }

            /// All counters as they stand. Each is exact; together they may be a batch apart.
            #[must_use]
            pub fn totals(&self) -> Tally {
                Tally { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }
        }

        impl Tally {
            /// Each counter: name (to be shown as `gridtally_ingest_{name}_total`), meaning, value.
            #[must_use]
            pub fn counters(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($about),+).trim_ascii(), self.$name),)+]
            }
        }
    };
}

counters! {
    /// Connections accepted.
    connections,
    /// Connections refused because connections_max were open.
    connections_refused,
    /// Connections refused because they did not say who they are, or wrongly.
    connections_unauthorized,
    /// TLS handshakes that failed: no TLS, no common version, or a certificate that is not trusted.
    tls_failed,
    /// Connections whose session was taken over by a newer one with the same client id.
    connections_taken_over,
    /// Connections ended because they sent no CONNECT in time, fell silent beyond their keep-alive, or did not read.
    timeouts,
    /// Connections ended because of bytes that are not MQTT or break its rules.
    protocol_errors,
    /// Connection tasks that ended by a panic: each is a defect of gridtally.
    panics,
    /// Publishes received at QoS 0.
    publishes_qos0,
    /// Publishes received at QoS 1.
    publishes_qos1,
    /// Publishes received at QoS 2, without those sent again before their PUBREL.
    publishes_qos2,
    /// Bytes of payload received.
    payload_bytes,
    /// Interval reads appended to the log.
    reads,
    /// Register reads appended to the log.
    registers,
    /// Power events appended to the log.
    events,
    /// Publishes appended to the log, the undecodable ones among them.
    records,
    /// Publishes that could not be decoded and were stored whole.
    undecodable,
    /// Publishes refused because topic or meter is not their sender's.
    not_yours,
    /// Publishes refused because the log is full.
    log_full,
    /// Publishes refused because their log record would be too large.
    record_too_large,
    /// Acknowledgements (PUBACK, PUBREC) sent with 0x00: stored and durable.
    acks_stored,
    /// Acknowledgements sent with 0x99: stored whole as undecodable, and durable.
    acks_undecodable,
    /// Acknowledgements sent with 0x87: refused as not the sender's.
    acks_not_yours,
    /// Acknowledgements sent with 0x97: refused because the log is full.
    acks_log_full,
    /// Appends that found the buffer of the log full and waited: back-pressure.
    append_waits,
    /// Subscriptions granted by the broker that is subscribed to: one for each connection made to it.
    broker_subscriptions,
    /// Connections to that broker that were lost or could not be made.
    broker_losses,
    /// QoS 0 publishes from that broker that were dropped because too much waited to be stored.
    broker_drops_qos0,
}

/// Span over which [`IngestMetrics::reads_per_second`] averages.
const RATE_SPAN: Duration = Duration::from_secs(10);
/// Samples are kept no closer than this.
const RATE_STEP: Duration = Duration::from_millis(500);

impl IngestMetrics {
    /// A connection was opened.
    pub fn connection_opened(&self) {
        self.connections_open.fetch_add(1, Ordering::Relaxed);
        self.add(&Tally {
            connections: 1,
            ..Tally::default()
        });
    }

    /// A connection that was opened has been closed.
    pub fn connection_closed(&self) {
        self.connections_open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Connections open now.
    #[must_use]
    pub fn connections_open(&self) -> u64 {
        self.connections_open.load(Ordering::Relaxed)
    }

    /// Interval reads a second, averaged over the last 10 s; over the time since it was last asked when that is longer, so that a
    /// burst between two questions is never missed. Ask about once a second; the first answer is 0.
    pub fn reads_per_second(&self, now: Instant) -> f64 {
        let reads = self.reads.load(Ordering::Relaxed);
        let mut samples = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        while samples.len() > 1
            && samples
                .front()
                .is_some_and(|(at, _)| now.saturating_duration_since(*at) > RATE_SPAN)
        {
            samples.pop_front();
        }
        if samples
            .back()
            .is_none_or(|(at, _)| now.saturating_duration_since(*at) >= RATE_STEP)
        {
            samples.push_back((now, reads));
        }
        let Some((since, before)) = samples.front().copied() else {
            return 0.0;
        };
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        if seconds == 0.0 {
            return 0.0;
        }
        let more = u32::try_from(reads.saturating_sub(before)).unwrap_or(u32::MAX);
        f64::from(more) / seconds
    }
}

impl Tally {
    /// Counts what a stored publish carries.
    pub fn stored(&mut self, publish: &Publish) {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.records += 1;
        self.reads += count(publish.read_count());
        self.registers += count(publish.register_count());
        self.events += count(publish.event_count());
    }
}
