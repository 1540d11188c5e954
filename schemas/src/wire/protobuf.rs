//! `application/x-protobuf`: `schemas/proto/ami/v1.proto`, read by hand straight into a [`Publish`].
//!
//! A generated reader would allocate a list per meter and a struct per read; this one allocates nothing once the publish has
//! its capacity. Unknown fields are skipped, as protobuf asks; groups are refused. The generated types serve as the oracle in tests.

use super::{DecodeError, Sink, malformed, required, whole_time};
use crate::{IntervalRead, PowerEvent, Publish, RegisterRead, UtcMicros, varint};

const ENCODING: &str = "protobuf";
/// Bytes of the longest number.
const VARINT_BYTES_MAX: usize = 10;

fn bad(detail: impl Into<String>) -> DecodeError {
    malformed(ENCODING, detail)
}

/// What a field carries.
#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Value<'a> {
    fn bytes(self, field: &str) -> Result<&'a [u8], DecodeError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed64(_) | Self::Fixed32(_) => {
                Err(bad(format!("{field} has the wrong wire type")))
            }
        }
    }

    /// sint64.
    fn signed(self, field: &str) -> Result<i64, DecodeError> {
        match self {
            Self::Varint(bits) => Ok(varint::signed(bits)),
            Self::Bytes(_) | Self::Fixed64(_) | Self::Fixed32(_) => {
                Err(bad(format!("{field} has the wrong wire type")))
            }
        }
    }

    /// sint32.
    fn signed32(self, field: &str) -> Result<i32, DecodeError> {
        i32::try_from(self.signed(field)?).map_err(|_| bad(format!("{field} does not fit into 32 bits")))
    }

    /// sfixed64, an instant in microseconds.
    fn time(self, field: &str) -> Result<UtcMicros, DecodeError> {
        match self {
            Self::Fixed64(bits) => whole_time(ENCODING, field, bits.cast_signed()),
            Self::Bytes(_) | Self::Varint(_) | Self::Fixed32(_) => {
                Err(bad(format!("{field} has the wrong wire type")))
            }
        }
    }

    fn float(self, field: &str) -> Result<f32, DecodeError> {
        match self {
            Self::Fixed32(bits) => {
                let number = f32::from_bits(bits);
                if number.is_finite() {
                    Ok(number)
                } else {
                    Err(bad(format!("{field} is not a finite number")))
                }
            }
            Self::Bytes(_) | Self::Varint(_) | Self::Fixed64(_) => {
                Err(bad(format!("{field} has the wrong wire type")))
            }
        }
    }
}

/// The fields of one message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64, DecodeError> {
        varint::take(&mut self.0).ok_or_else(|| {
            bad(if self.0.len() < VARINT_BYTES_MAX {
                "ends inside a number"
            } else {
                "a number is longer than 64 bits"
            })
        })
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], DecodeError> {
        let taken = usize::try_from(length)
            .ok()
            .and_then(|length| self.0.split_at_checked(length));
        let Some((taken, rest)) = taken else {
            return Err(bad("ends inside a field"));
        };
        self.0 = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((bytes, rest)) = self.0.split_first_chunk::<N>() else {
            return Err(bad("ends inside a field"));
        };
        self.0 = rest;
        Ok(*bytes)
    }

    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.fixed()?)),
            other => return Err(bad(format!("wire type {other} is none that is used"))),
        };
        match tag >> 3 {
            0 => Err(bad("a field has number 0")),
            number => Ok(Some((number, value))),
        }
    }
}

pub(super) fn decode(payload: &[u8], sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    let mut fields = Fields(payload);
    while let Some((number, value)) = fields.next()? {
        if number == 1 {
            meter(value.bytes("meters")?, sink)?;
        }
    }
    Ok(())
}

fn meter(message: &[u8], sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    // The id may stand behind the reads: found first, so that what follows can be pushed at once.
    let mut id: &[u8] = b"";
    let mut fields = Fields(message);
    while let Some((number, value)) = fields.next()? {
        if number == 1 {
            id = value.bytes("meter_id")?;
        }
    }
    let id = std::str::from_utf8(id).map_err(|_| bad("meter_id is not UTF-8"))?;
    sink.begin_meter(Some(id).filter(|id| !id.is_empty()))?;
    let mut fields = Fields(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            2 => sink.publish.push_read(read(value.bytes("reads")?)?),
            3 => sink.publish.push_register(register(value.bytes("registers")?)?),
            4 => sink.publish.push_event(event(value.bytes("events")?)?),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a publish holds an event. Skims lengths alone: of what is no publish it may say either.
pub(super) fn has_events(payload: &[u8]) -> bool {
    let mut fields = Fields(payload);
    while let Ok(Some((number, value))) = fields.next() {
        let (1, Value::Bytes(meter)) = (number, value) else {
            continue;
        };
        let mut of_meter = Fields(meter);
        while let Ok(Some((number, _))) = of_meter.next() {
            if number == 4 {
                return true;
            }
        }
    }
    false
}

fn read(message: &[u8]) -> Result<IntervalRead, DecodeError> {
    let mut read = IntervalRead::new(UtcMicros(0), None);
    let mut interval_end = None;
    let mut fields = Fields(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => interval_end = Some(value.time("interval_end")?),
            2 => read.import_wh = Some(value.signed("import_wh")?),
            3 => read.export_wh = Some(value.signed("export_wh")?),
            4 => read.import_vah = Some(value.signed("import_vah")?),
            5 => read.voltage_v = Some(value.float("voltage_v")?),
            6 => read.current_a = Some(value.float("current_a")?),
            7 => read.captured_at = Some(value.time("captured_at")?),
            8 => read.revision = value.signed32("revision")?,
            _ => {}
        }
    }
    read.interval_end = required(ENCODING, "interval_end", interval_end)?;
    Ok(read)
}

fn register(message: &[u8]) -> Result<RegisterRead, DecodeError> {
    let (mut at, mut import_wh, mut export_wh) = (None, None, None);
    let mut fields = Fields(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => at = Some(value.time("at")?),
            2 => import_wh = Some(value.signed("import_wh")?),
            3 => export_wh = Some(value.signed("export_wh")?),
            _ => {}
        }
    }
    Ok(RegisterRead {
        at: required(ENCODING, "at", at)?,
        import_wh,
        export_wh,
    })
}

fn event(message: &[u8]) -> Result<PowerEvent, DecodeError> {
    // proto3 does not send a code of 0, and there is no event 0.
    let (mut code, mut at, mut sequence) = (None, None, None);
    let mut fields = Fields(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => code = Some(value.signed32("code")?),
            2 => at = Some(value.time("at")?),
            3 => sequence = Some(value.signed("sequence")?),
            _ => {}
        }
    }
    Ok(PowerEvent {
        at: required(ENCODING, "at", at)?,
        code: required(ENCODING, "code", code)?,
        sequence,
    })
}

/// Appends a publish in protobuf.
pub(super) fn encode(publish: &Publish, bytes: &mut Vec<u8>) {
    for span in publish.meters() {
        message(1, bytes, |bytes| {
            push_bytes(1, span.meter_id.as_bytes(), bytes);
            for read in span.reads {
                message(2, bytes, |bytes| push_read(read, bytes));
            }
            for register in span.registers {
                message(3, bytes, |bytes| {
                    push_fixed64(1, register.at, bytes);
                    push_signed(2, register.import_wh, bytes);
                    push_signed(3, register.export_wh, bytes);
                });
            }
            for event in span.events {
                message(4, bytes, |bytes| {
                    push_signed(1, Some(i64::from(event.code)), bytes);
                    push_fixed64(2, event.at, bytes);
                    push_signed(3, event.sequence, bytes);
                });
            }
        });
    }
}

fn push_read(read: &IntervalRead, bytes: &mut Vec<u8>) {
    push_fixed64(1, read.interval_end, bytes);
    push_signed(2, read.import_wh, bytes);
    push_signed(3, read.export_wh, bytes);
    push_signed(4, read.import_vah, bytes);
    push_float(5, read.voltage_v, bytes);
    push_float(6, read.current_a, bytes);
    if let Some(captured_at) = read.captured_at {
        push_fixed64(7, captured_at, bytes);
    }
    push_signed(
        8,
        Some(i64::from(read.revision)).filter(|revision| *revision != 0),
        bytes,
    );
}

fn push_bytes(number: u64, content: &[u8], bytes: &mut Vec<u8>) {
    varint::push(number << 3 | 2, bytes);
    varint::push(u64::try_from(content.len()).unwrap_or(u64::MAX), bytes);
    bytes.extend_from_slice(content);
}

fn push_fixed64(number: u64, at: UtcMicros, bytes: &mut Vec<u8>) {
    varint::push(number << 3 | 1, bytes);
    bytes.extend_from_slice(&at.0.to_le_bytes());
}

fn push_signed(number: u64, value: Option<i64>, bytes: &mut Vec<u8>) {
    if let Some(value) = value {
        varint::push(number << 3, bytes);
        varint::push_signed(value, bytes);
    }
}

fn push_float(number: u64, value: Option<f32>, bytes: &mut Vec<u8>) {
    if let Some(value) = value {
        varint::push(number << 3 | 5, bytes);
        bytes.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends a message: its content is written first and its length squeezed in before it.
fn message(number: u64, bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    varint::push(number << 3 | 2, bytes);
    let begin = bytes.len();
    // One byte for the length is right for a message below 128 bytes, as nearly all reads are.
    bytes.push(0);
    write(bytes);
    let length = bytes.len() - begin - 1;
    if let (Ok(short @ 0..=127), Some(slot)) = (u8::try_from(length), bytes.get_mut(begin)) {
        *slot = short;
        return;
    }
    let mut prefix = Vec::with_capacity(10);
    varint::push(u64::try_from(length).unwrap_or(u64::MAX), &mut prefix);
    bytes.splice(begin..=begin, prefix);
}
