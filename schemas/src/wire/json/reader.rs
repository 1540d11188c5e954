//! JSON straight into a [`Publish`]: no list per meter, no text copied unless it has escapes.
//!
//! The id of a meter may stand behind its reads, so a part is begun without a name and named at its end. An id that is wrong or
//! not its sender's is told only when the rest of the payload is JSON: what cannot be read counts as unreadable first.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{ENCODING, EventFields, ReadFields, RegisterFields};
use crate::{
    IntervalRead, PowerEvent, Publish, RegisterRead,
    wire::{DecodeError, Sink, malformed},
};

pub(super) fn decode(payload: &[u8], sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    let mut whose = None;
    let mut json = serde_json::Deserializer::from_slice(payload);
    let outer = Object {
        level: Level::Publish,
        sink,
        whose: &mut whose,
    };
    outer
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|error| malformed(ENCODING, error.to_string()))?;
    whose.map_or(Ok(()), Err)
}

/// Which object is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The outermost: many meters, or the fields of one.
    Publish,
    /// One meter of many.
    Meter,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Meters,
    MeterId,
    Reads,
    Registers,
    Events,
    #[serde(other)]
    Other,
}

/// Borrowed from the payload unless it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// An object whose content goes into the sink.
struct Object<'s, 'p> {
    level: Level,
    sink: &'s mut Sink<'p>,
    /// The first part that is not its sender's.
    whose: &'s mut Option<DecodeError>,
}

impl Object<'_, '_> {
    /// Names the part that was begun, and ends it.
    fn name(&mut self, meter_id: Option<&str>) {
        if let Err(error) = self.sink.name_meter(meter_id) {
            self.whose.get_or_insert(error);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// What of an object has been read.
#[derive(Default)]
struct Seen<'a> {
    meter_id: Option<Option<Text<'a>>>,
    meters: bool,
    reads: bool,
    registers: bool,
    events: bool,
}

/// Notes a field; a second one of its name is an error, as nobody could say which counts.
fn once<E: Error>(seen: &mut bool, name: &'static str) -> Result<(), E> {
    if std::mem::replace(seen, true) {
        return Err(E::duplicate_field(name));
    }
    Ok(())
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.level {
            Level::Publish => "an object with the field meters, or with those of one meter",
            Level::Meter => "an object with the fields of one meter",
        })
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut seen = Seen::default();
        self.sink.publish.begin_unnamed();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::MeterId => {
                    if seen.meter_id.replace(map.next_value()?).is_some() {
                        return Err(A::Error::duplicate_field("meter_id"));
                    }
                }
                Key::Reads => {
                    once(&mut seen.reads, "reads")?;
                    map.next_value_seed(Reads(self.sink.publish))?;
                }
                Key::Registers => {
                    once(&mut seen.registers, "registers")?;
                    map.next_value_seed(Registers(self.sink.publish))?;
                }
                Key::Events => {
                    once(&mut seen.events, "events")?;
                    map.next_value_seed(Events(self.sink.publish))?;
                }
                Key::Meters if self.level == Level::Publish => {
                    once(&mut seen.meters, "meters")?;
                    self.meters(&mut map, &seen)?;
                }
                Key::Meters | Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        // Around the meters of others there need be nothing of its own.
        if self.level == Level::Publish && self.sink.publish.drop_if_empty() {
            return Ok(());
        }
        let meter_id = seen.meter_id.flatten();
        self.name(meter_id.as_ref().map(|id| id.0.as_ref()));
        Ok(())
    }
}

impl Object<'_, '_> {
    /// The parts of many meters. What stood before them is a part of its own, and so is what follows.
    fn meters<'de, A: MapAccess<'de>>(&mut self, map: &mut A, seen: &Seen<'de>) -> Result<(), A::Error> {
        if !self.sink.publish.drop_if_empty() {
            let meter_id = seen.meter_id.as_ref().and_then(Option::as_ref);
            self.name(meter_id.map(|id| id.0.as_ref()));
        }
        map.next_value_seed(Meters {
            sink: self.sink,
            whose: self.whose,
        })?;
        self.sink.publish.begin_unnamed();
        Ok(())
    }
}

/// `meters`: an object for each.
struct Meters<'s, 'p> {
    sink: &'s mut Sink<'p>,
    whose: &'s mut Option<DecodeError>,
}

impl<'de> DeserializeSeed<'de> for Meters<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Meters<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of meters")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        loop {
            let object = Object {
                level: Level::Meter,
                sink: self.sink,
                whose: self.whose,
            };
            if list.next_element_seed(object)?.is_none() {
                return Ok(());
            }
        }
    }
}

/// A list whose elements are pushed one by one.
macro_rules! pushed {
    ($name:ident, $fields:ty, $what:literal, $push:expr) => {
        struct $name<'s>(&'s mut Publish);

        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = ();

            fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_seq(self)
            }
        }

        impl<'de> Visitor<'de> for $name<'_> {
            type Value = ();

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($what)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
                let push: fn(&mut Publish, $fields) -> Result<(), A::Error> = $push;
                while let Some(fields) = list.next_element()? {
                    push(self.0, fields)?;
                }
                Ok(())
            }
        }
    };
}

pushed!(Reads, ReadFields, "a list of reads", |publish, fields| {
    publish.push_read(IntervalRead {
        interval_end: fields.interval_end,
        import_wh: fields.import_wh,
        export_wh: fields.export_wh,
        import_vah: fields.import_vah,
        voltage_v: finite(fields.voltage_v, "voltage_v")?,
        current_a: finite(fields.current_a, "current_a")?,
        captured_at: fields.captured_at,
        revision: fields.revision.unwrap_or(0),
    });
    Ok(())
});

pushed!(
    Registers,
    RegisterFields,
    "a list of registers",
    |publish, fields| {
        publish.push_register(RegisterRead {
            at: fields.at,
            import_wh: fields.import_wh,
            export_wh: fields.export_wh,
        });
        Ok(())
    }
);

pushed!(Events, EventFields, "a list of events", |publish, fields| {
    publish.push_event(PowerEvent {
        at: fields.at,
        code: fields.code,
        sequence: fields.sequence,
    });
    Ok(())
});

fn finite<E: Error>(number: Option<f32>, field: &str) -> Result<Option<f32>, E> {
    if number.is_none_or(f32::is_finite) {
        Ok(number)
    } else {
        Err(E::custom(format_args!("{field} is too large a number")))
    }
}
