//! From the delivery plan to payloads: what one connection sends in one quarter, feeder by feeder.

use std::collections::BTreeMap;

use gridtally_schemas::{
    GatewayId, IntervalRead, PowerEvent, Publish,
    network::MeterRole,
    topic::{Leaf, Publisher, Topic},
    wire::{self, Encoding},
};

use super::{PublishConfig, SentRead};
use crate::{
    Feeder, Fleet, Imperfections, Meter, Quarter,
    delivery::{self, Said},
    flow::Reads,
    prng::{count, signed},
};

/// A burst ends before the next interval does, seconds.
const BURST_SECONDS_MAX: u64 = 890;

/// One publish, ready to send.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) encoding: Encoding,
    pub(super) payload: Vec<u8>,
    pub(super) reads: Vec<SentRead>,
    pub(super) events: u64,
}

/// Who speaks on a connection; feeders are dealt in turn.
#[derive(Debug, Clone)]
pub(super) enum Sender {
    /// A gateway, for all meters but those that speak for themselves.
    Gateway { id: GatewayId, turn: u64, of: u64 },
    /// Meters that speak for themselves.
    Meters { turn: u64, of: u64 },
}

impl Sender {
    fn feeders(&self, fleet: &Fleet) -> impl Iterator<Item = u64> {
        let (turn, of) = match self {
            Self::Gateway { turn, of, .. } | Self::Meters { turn, of } => (*turn, *of),
        };
        let step = usize::try_from(of.max(1)).unwrap_or(usize::MAX);
        (turn..fleet.feeder_count()).step_by(step)
    }
}

/// A read that waits for its time.
#[derive(Debug, Clone, Copy)]
struct Late {
    slot: u32,
    read: IntervalRead,
    said: Said,
}

#[derive(Debug)]
struct OfFeeder {
    feeder: Feeder,
    reads: Reads,
    late: BTreeMap<Quarter, Vec<Late>>,
    offset_micros: i64,
}

/// Composes the publishes of one connection.
#[derive(Debug)]
pub(super) struct Composer {
    fleet: Fleet,
    span_last: Quarter,
    feeders: Vec<OfFeeder>,
    writer: Writer,
}

/// Turns reads and events into messages.
#[derive(Debug)]
struct Writer {
    sender: Sender,
    direct_permille: u16,
    encoding: Encoding,
    reads_per_publish: usize,
    scratch: Publish,
    meter_id: String,
}

impl Composer {
    pub(super) fn new(fleet: &Fleet, config: &PublishConfig, sender: Sender, number: usize) -> Self {
        let burst_seconds = config.burst.as_secs().clamp(1, BURST_SECONDS_MAX);
        let mut feeders: Vec<OfFeeder> = sender
            .feeders(fleet)
            .filter_map(|number| fleet.feeder(number))
            .map(|feeder| OfFeeder {
                offset_micros: signed(feeder.key.part(60).between(1, burst_seconds)) * 1_000_000,
                feeder,
                reads: Reads::default(),
                late: BTreeMap::new(),
            })
            .collect();
        feeders.sort_by_key(|of| of.offset_micros);
        let encoding = config
            .encodings
            .get(number % config.encodings.len().max(1))
            .copied();
        Self {
            fleet: fleet.clone(),
            span_last: config.span.last,
            feeders,
            writer: Writer {
                sender,
                direct_permille: config.direct_permille,
                encoding: encoding.unwrap_or(Encoding::Protobuf),
                reads_per_publish: config.reads_per_publish,
                scratch: Publish::default(),
                meter_id: String::new(),
            },
        }
    }

    pub(super) fn feeder_count(&self) -> usize {
        self.feeders.len()
    }

    /// Fleet time after the end of an interval at which a feeder's reads are sent; ascending.
    pub(super) fn offset_micros(&self, feeder: usize) -> i64 {
        self.feeders.get(feeder).map_or(0, |of| of.offset_micros)
    }

    pub(super) fn has_late(&self) -> bool {
        self.feeders.iter().any(|of| !of.late.is_empty())
    }

    /// Everything of a feeder that is due after the end of `quarter`. Quarters are to be asked for in order.
    pub(super) fn compose(&mut self, feeder: usize, quarter: Quarter, messages: &mut Vec<Message>) {
        let Some(of) = self.feeders.get_mut(feeder) else {
            return;
        };
        let mut due = of.late.remove(&quarter).unwrap_or_default();
        if quarter <= self.span_last {
            let config = self.fleet.config();
            of.reads.compute(&of.feeder, &config.zone, quarter);
            for (meter, read) in of
                .reads
                .iter(&of.feeder)
                .filter(|(meter, _)| self.writer.speaks_for(meter))
            {
                for sending in delivery::sendings(&config.imperfections, meter, quarter)
                    .into_iter()
                    .flatten()
                {
                    let late = Late {
                        slot: meter.meter.slot,
                        read: delivery::version(meter, read, sending.said),
                        said: sending.said,
                    };
                    if sending.due <= quarter {
                        due.push(late);
                    } else {
                        of.late.entry(sending.due).or_default().push(late);
                    }
                }
            }
            self.writer
                .compose_events(&of.feeder, (quarter, &config.imperfections), messages);
        }
        self.writer.compose_reads(&of.feeder, &due, messages);
    }
}

impl Writer {
    fn speaks_for(&self, meter: &Meter) -> bool {
        let direct =
            meter.role == MeterRole::Consumer && meter.key.part(5).chance_permille(self.direct_permille);
        match self.sender {
            Sender::Gateway { .. } => !direct,
            Sender::Meters { .. } => direct,
        }
    }

    fn compose_reads(&mut self, feeder: &Feeder, due: &[Late], messages: &mut Vec<Message>) {
        let size = match self.sender {
            Sender::Gateway { .. } => self.reads_per_publish,
            Sender::Meters { .. } => 1,
        };
        for batch in due.chunks(size) {
            self.scratch.clear();
            let mut reads = Vec::with_capacity(batch.len());
            let mut open = None;
            for late in batch {
                let Some(meter) = slot(feeder, late.slot) else {
                    continue;
                };
                if open != Some(late.slot) && !self.begin(meter) {
                    continue;
                }
                open = Some(late.slot);
                self.scratch.push_read(late.read);
                reads.push(SentRead {
                    meter: meter.meter,
                    quarter: Quarter::containing(late.read.interval_end),
                    said: late.said,
                });
            }
            messages.extend(self.message(Leaf::Reads, reads));
        }
    }

    fn compose_events(
        &mut self,
        feeder: &Feeder,
        at: (Quarter, &Imperfections),
        messages: &mut Vec<Message>,
    ) {
        let found: Vec<(&Meter, [PowerEvent; 2])> = feeder
            .meters()
            .iter()
            .filter(|meter| self.speaks_for(meter))
            .filter_map(|meter| Some((meter, delivery::events(at.1, meter, at.0)?)))
            .collect();
        let size = match self.sender {
            Sender::Gateway { .. } => self.reads_per_publish,
            Sender::Meters { .. } => 1,
        };
        for batch in found.chunks(size) {
            self.scratch.clear();
            for (meter, events) in batch {
                if self.begin(meter) {
                    events.iter().for_each(|event| self.scratch.push_event(*event));
                }
            }
            messages.extend(self.message(Leaf::Events, Vec::new()));
        }
    }

    fn begin(&mut self, meter: &Meter) -> bool {
        self.meter_id.clear();
        meter.meter.write_id(&mut self.meter_id);
        self.scratch.begin_meter(&self.meter_id).is_ok()
    }

    /// The publish of what stands in the scratch buffer; a meter's own names it in the topic.
    fn message(&self, leaf: Leaf, reads: Vec<SentRead>) -> Option<Message> {
        if self.scratch.is_empty() {
            return None;
        }
        let publisher = match &self.sender {
            Sender::Gateway { id, .. } => Publisher::Gateway(id.clone()),
            Sender::Meters { .. } => {
                let meter = gridtally_schemas::MeterId::parse(self.scratch.meters().next()?.meter_id).ok()?;
                Publisher::Meter(meter)
            }
        };
        let mut payload = Vec::new();
        let mut encoding = self.encoding;
        match self.encoding {
            Encoding::Json => wire::encode_json(&self.scratch, &mut payload),
            Encoding::Protobuf => wire::encode_protobuf(&self.scratch, &mut payload),
            Encoding::ArrowStream => match wire::encode_arrow_stream(&self.scratch) {
                Ok(bytes) => payload = bytes,
                Err(error) => {
                    tracing::warn!(%error, "arrow payload not made, sent as protobuf");
                    encoding = Encoding::Protobuf;
                    wire::encode_protobuf(&self.scratch, &mut payload);
                }
            },
        }
        Some(Message {
            topic: Topic { publisher, leaf }.to_string(),
            encoding,
            payload,
            reads,
            events: count(self.scratch.event_count()),
        })
    }
}

fn slot(feeder: &Feeder, slot: u32) -> Option<&Meter> {
    feeder.meters().get(usize::try_from(slot).ok()?)
}
