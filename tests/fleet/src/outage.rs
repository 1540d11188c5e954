//! Outages planted in a feeder for detection to find, with all that hides them: a pure function of the fleet's seed, so that a test
//! knows when each consumer was without supply, to the microsecond.
//!
//! At once: outages of service lines, DTs and the feeder; last gasps and restorations that are lost, late or told twice; clocks that
//! are minutes off; meters that record nothing without supply, and meters without voltage; DTs whose communication is lost, with what was
//! said meanwhile or without; load switches opened on exhausted credit or by hand, before, after and during outages.
//!
//! Energies of [`crate::flow`] stay what flowed: an outage changes what meters at or below the failed node say. The meters above it
//! count on.

use gridtally_schemas::{
    IntervalRead, NodeId, PowerEvent, UtcMicros,
    network::MeterRole,
    outage::{MinuteOfDay, SupplyHoursRow, Weekdays},
};

use crate::{
    calendar::Quarter,
    feeder::{Feeder, Meter},
    prng::{Key, count, signed, size},
    shape,
};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Default codes (DOMAIN section 4).
const FAILED: i32 = 101;
const RESTORED: i32 = 102;
const DISCONNECTED: i32 = 301;
const CONNECTED: i32 = 302;
const CUT_OFF: i32 = 304;

/// How far a planted outage reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reach {
    /// The consumer's meter in this slot.
    ServiceLine(u32),
    /// The DT of this number.
    Dt(usize),
    /// The feeder with all below it.
    Feeder,
}

/// From an instant until before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// Its first instant.
    pub from: UtcMicros,
    /// The first instant after it.
    pub to: UtcMicros,
}

impl Stretch {
    fn common_micros(self, other: Self) -> i64 {
        (self.to.min(other.to).0 - self.from.max(other.from).0).max(0)
    }

    fn contains(self, instant: UtcMicros) -> bool {
        self.from <= instant && instant < self.to
    }
}

/// An outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlantedOutage {
    /// How far it reaches.
    pub reach: Reach,
    /// When the node was without supply.
    pub out: Stretch,
    /// Of some outages of a feeder: a DT that came back later, and when.
    pub last_dt: Option<(usize, UtcMicros)>,
}

impl PlantedOutage {
    /// When those on `dt` (`None`: on the feeder itself) with the meter in `slot` (`None`: without one) were out; `None`: they were not.
    #[must_use]
    pub fn of(&self, dt: Option<usize>, slot: Option<u32>) -> Option<Stretch> {
        match self.reach {
            Reach::ServiceLine(line) => (slot == Some(line)).then_some(self.out),
            Reach::Dt(out) => (dt == Some(out)).then_some(self.out),
            Reach::Feeder => {
                let later = self.last_dt.filter(|(last, _)| dt == Some(*last));
                Some(later.map_or(self.out, |(_, to)| Stretch { to, ..self.out }))
            }
        }
    }
}

/// A DT whose communication is lost for some hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// The DT.
    pub dt: usize,
    /// For how long.
    pub during: Stretch,
    /// Whether the profiles of that time are lost; else they come when it is over.
    pub is_lost: bool,
}

/// A load switch that is open for some hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchedOff {
    /// The meter's slot.
    pub slot: u32,
    /// When it was open.
    pub during: Stretch,
    /// Whether on exhausted credit; else by hand.
    pub is_prepaid: bool,
    /// Which of its two events is lost, if one is. Both are never lost: nobody could tell then what it was.
    pub lost: Option<SwitchWord>,
}

/// What a meter says of its load switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchWord {
    /// That it opened.
    Opened,
    /// That it closed.
    Closed,
}

/// An event with when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentEvent {
    /// By the meter's own clock.
    pub event: PowerEvent,
    /// In truth.
    pub sent_at: UtcMicros,
}

/// What is planted in one feeder.
#[derive(Debug, Clone)]
pub struct Planted {
    /// By begin; they do not overlap.
    pub outages: Vec<PlantedOutage>,
    /// Lost communication.
    pub silences: Vec<Silence>,
    /// Load switches that were opened.
    pub switched_off: Vec<SwitchedOff>,
}

/// How a meter tells things.
#[derive(Debug, Clone, Copy)]
struct Manner {
    /// How far its clock is ahead, µs.
    drift_micros: i64,
    /// Whether it records blocks without supply, as zeros; else its profile has a hole.
    records_dark: bool,
    sends_voltage: bool,
    /// Whether it measures behind its load switch: no voltage while that is open.
    measures_behind_switch: bool,
}

impl Manner {
    fn of(meter: &Meter) -> Self {
        let key = meter.key.part(70);
        let seconds = |most: u64| signed(key.part(1).between(0, 2 * most)) - signed(most);
        let drift = match key.below(1_000) {
            0..10 => seconds(1_200),
            10..50 => seconds(240),
            _ => seconds(60),
        };
        Self {
            drift_micros: drift * SECOND,
            records_dark: key.part(2).chance_permille(500),
            sends_voltage: key.part(3).chance_permille(900),
            measures_behind_switch: key.part(4).chance_permille(500),
        }
    }
}

impl Feeder {
    /// Plants outages of every reach from `from` until `to`, one after the other, so that each can be told from the next.
    #[must_use]
    pub fn plant_outages(&self, from: UtcMicros, to: UtcMicros) -> Planted {
        let mut planted = Planted {
            outages: Vec::new(),
            silences: Vec::new(),
            switched_off: Vec::new(),
        };
        let key = self.key.part(70);
        let mut at = from.plus(3 * HOUR);
        for number in 0.. {
            let draw = key.part(1).part(number);
            let lasts = if draw.part(1).chance_permille(300) {
                signed(draw.part(2).between(20, 160)) * SECOND
            } else {
                signed(draw.part(2).between(300, 14_400)) * SECOND
            };
            if at.plus(lasts) > to.plus(-8 * HOUR) {
                break;
            }
            let out = Stretch {
                from: at,
                to: at.plus(lasts),
            };
            planted.outages.extend(self.draw_outage(draw, out));
            at = out
                .to
                .plus(2 * HOUR)
                .plus(signed(draw.part(3).below(7_200)) * SECOND);
        }
        for dt in 0..self.dt_count() {
            let draw = key.part(2).part(count(dt));
            if draw.chance_permille(250) {
                let during = within(draw, (from, to), (3, 9));
                // What nobody ever says a word of, nobody can find.
                let hides_it = planted
                    .outages
                    .iter()
                    .any(|outage| outage.reach == Reach::Dt(dt) && outage.out.common_micros(during) > 0);
                planted.silences.push(Silence {
                    dt,
                    during,
                    is_lost: !hides_it && draw.part(3).chance_permille(500),
                });
            }
        }
        planted.switched_off = self.draw_switches((from, to));
        planted
    }

    fn draw_outage(&self, draw: Key, out: Stretch) -> Option<PlantedOutage> {
        let dts = self.dt_count();
        let outage = |reach| PlantedOutage {
            reach,
            out,
            last_dt: None,
        };
        let pick = size(draw.part(11).below(count(dts)));
        // Where supply is due in the whole of it: outside of these hours nobody is interrupted.
        let seen = (0..dts)
            .map(|step| (pick + step) % dts)
            .find(|dt| self.is_seen(*dt) && self.is_due(*dt, out));
        match draw.part(10).below(10) {
            0..3 => {
                let later = draw.part(12).chance_permille(200) && out.common_micros(out) > 5 * MINUTE;
                let back = out.to.plus(signed(draw.part(13).between(600, 3_600)) * SECOND);
                Some(PlantedOutage {
                    last_dt: seen.filter(|_| later).map(|dt| (dt, back)),
                    ..outage(Reach::Feeder)
                })
            }
            3..7 => Some(outage(Reach::Dt(seen?))),
            _ => {
                let of_dt: Vec<&Meter> = self
                    .meters()
                    .iter()
                    .filter(|meter| meter.role == MeterRole::Consumer && meter.dt == seen)
                    .collect();
                let meter = of_dt.get(size(draw.part(14).below(count(of_dt.len()))))?;
                Some(outage(Reach::ServiceLine(meter.meter.slot)))
            }
        }
    }

    /// Whether anything tells of a DT: its own meter, or more than one consumer's.
    fn is_seen(&self, dt: usize) -> bool {
        let mut at_dt = self.meters().iter().filter(|meter| meter.dt == Some(dt));
        at_dt.clone().any(|meter| meter.role == MeterRole::Dt)
            || at_dt
                .by_ref()
                .filter(|meter| meter.role == MeterRole::Consumer)
                .count()
                > 1
    }

    fn is_due(&self, dt: usize, out: Stretch) -> bool {
        let first = Quarter::containing(out.from.plus(-HOUR));
        let last = Quarter::containing(out.to.plus(HOUR));
        (first.0..=last.0).all(|quarter| self.has_supply_due(dt, Quarter(quarter)))
    }

    /// Whether a DT's hours of supply hold a quarter; always, of one that has none.
    #[must_use]
    pub fn has_supply_due(&self, dt: usize, quarter: Quarter) -> bool {
        let Some(group) = self.dts.get(dt).and_then(|dt| dt.supply_group) else {
            return true;
        };
        let zone = &self.fleet.config().zone;
        let day = zone.day_of_interval(quarter.end());
        let begin = quarter.plus(-1).end();
        let of_day = (begin.0 - zone.start_of(day).0) / (15 * MINUTE);
        shape::has_pump_supply(group, day.0, of_day)
    }

    fn draw_switches(&self, span: (UtcMicros, UtcMicros)) -> Vec<SwitchedOff> {
        let consumers = self.meters().iter();
        let consumers = consumers.filter(|meter| meter.role == MeterRole::Consumer);
        let switch = |meter: &Meter| {
            let draw = meter.key.part(71);
            let lost = match draw.part(4).below(10) {
                0 => Some(SwitchWord::Opened),
                1 => Some(SwitchWord::Closed),
                _ => None,
            };
            draw.chance_permille(30).then(|| SwitchedOff {
                slot: meter.meter.slot,
                during: within(draw, span, (2, 30)),
                is_prepaid: draw.part(3).chance_permille(700),
                lost,
            })
        };
        consumers.filter_map(switch).collect()
    }

    /// Rows of the `supply_hours` file that hold in the weeks from `from` until `to`, for the DTs that have hours of supply.
    #[must_use]
    pub fn supply_hours(&self, from: UtcMicros, to: UtcMicros) -> Vec<SupplyHoursRow> {
        let zone = &self.fleet.config().zone;
        let mut rows = Vec::new();
        for (number, dt) in self.dts.iter().enumerate() {
            let Some(group) = dt.supply_group else { continue };
            let Ok(node_id) = NodeId::parse(&self.dt_id(number)) else {
                continue;
            };
            let first = zone.day_of(from).0.div_euclid(7);
            for week in first..=zone.day_of(to).0.div_euclid(7) {
                let monday = gridtally_schemas::Day(week * 7);
                let hours: Vec<i64> = (0..24)
                    .filter(|hour| shape::has_pump_supply(group, monday.0, hour * 4))
                    .collect();
                for hours in hours.chunk_by(|hour, next| *next == *hour + 1) {
                    let (Some(from), Some(last)) = (hours.first(), hours.last()) else {
                        continue;
                    };
                    rows.extend(minute(*from).zip(minute((*last + 1) % 24)).map(|(from, to)| {
                        SupplyHoursRow {
                            node_id: Some(node_id.clone()),
                            category: None,
                            weekdays: Weekdays::ALL,
                            from,
                            to,
                            valid_from: zone.start_of(monday),
                            valid_to: Some(zone.start_of(gridtally_schemas::Day(monday.0 + 7))),
                        }
                    }));
                }
            }
        }
        rows
    }
}

fn minute(hour: i64) -> Option<MinuteOfDay> {
    format!("{hour:02}:00").parse().ok()
}

/// A stretch of some hours, somewhere within a span.
fn within(draw: Key, (from, to): (UtcMicros, UtcMicros), hours: (u64, u64)) -> Stretch {
    let lasts = signed(draw.part(1).between(hours.0 * 3_600, hours.1 * 3_600)) * SECOND;
    let room = u64::try_from((to.0 - from.0 - lasts) / SECOND).unwrap_or(0);
    let from = from.plus(signed(draw.part(2).below(room)) * SECOND);
    Stretch {
        from,
        to: from.plus(lasts),
    }
}

impl Planted {
    /// When those on `dt` (`None`: on the feeder itself) with the meter in `slot` (`None`: without one) were without supply, by begin.
    pub fn out(&self, dt: Option<usize>, slot: Option<u32>) -> impl Iterator<Item = Stretch> {
        self.outages.iter().filter_map(move |outage| outage.of(dt, slot))
    }

    fn out_of(&self, meter: &Meter) -> impl Iterator<Item = Stretch> {
        let is_upstream = meter.role == MeterRole::Boundary;
        self.out(meter.dt, Some(meter.meter.slot))
            .filter(move |_| !is_upstream)
    }

    fn switched_off(&self, meter: &Meter) -> impl Iterator<Item = &SwitchedOff> {
        let slot = meter.meter.slot;
        self.switched_off.iter().filter(move |off| off.slot == slot)
    }

    fn silence_at(&self, meter: &Meter, at: UtcMicros) -> Option<&Silence> {
        let of_dt = self
            .silences
            .iter()
            .filter(|silence| meter.dt == Some(silence.dt));
        of_dt.clone().find(|silence| silence.during.contains(at))
    }

    /// What a meter says of an interval instead of `read`, and the end of the quarter after which it is first sent; `None`: nothing is
    /// ever said.
    #[must_use]
    pub fn alter(&self, meter: &Meter, read: IntervalRead) -> Option<(IntervalRead, Quarter)> {
        let manner = Manner::of(meter);
        // The interval by the meter's clock, in true time.
        let to = read.interval_end.plus(-manner.drift_micros);
        let length = meter.minutes.micros();
        let interval = Stretch {
            from: to.plus(-length),
            to,
        };
        let mut sent = Quarter::containing(read.interval_end);
        if let Some(silence) = self.silence_at(meter, to) {
            if silence.is_lost {
                return None;
            }
            sent = sent.max(Quarter::containing(silence.during.to));
        }
        let in_common = |stretches: &mut dyn Iterator<Item = Stretch>| -> i64 {
            stretches.map(|stretch| stretch.common_micros(interval)).sum()
        };
        let dark = in_common(&mut self.out_of(meter));
        let off = in_common(&mut self.switched_off(meter).map(|off| off.during));
        let was_dark = dark > 0 || read.voltage_v == Some(0.0);
        let is_dark = dark >= length || read.voltage_v == Some(0.0);
        if is_dark && !manner.records_dark {
            return None;
        }
        let live = (length - dark - off).max(0);
        let part =
            |wh: i64| i64::try_from(i128::from(wh) * i128::from(live) / i128::from(length)).unwrap_or(wh);
        let changed = was_dark || off > 0;
        let scaled = |wh: Option<i64>| if changed { wh.map(part) } else { wh };
        // A meter without supply measures nothing: its mean is that of the time with it.
        let is_unmeasured = is_dark || off >= length && manner.measures_behind_switch;
        let voltage_v = if is_unmeasured { Some(0.0) } else { read.voltage_v };
        let altered = IntervalRead {
            import_wh: scaled(read.import_wh),
            export_wh: scaled(read.export_wh),
            import_vah: scaled(read.import_vah),
            current_a: if is_unmeasured { Some(0.0) } else { read.current_a },
            voltage_v: voltage_v.filter(|_| manner.sends_voltage),
            ..read
        };
        Some((altered, sent))
    }

    /// The events of a meter, by when they are sent: those that are not lost, some of them late, some twice.
    #[must_use]
    pub fn events(&self, meter: &Meter) -> Vec<SentEvent> {
        let mut sent: Vec<SentEvent> = Vec::new();
        if meter.role == MeterRole::Boundary {
            return sent;
        }
        for out in self.out_of(meter) {
            let draw = meter.key.part(72).at(out.from.0);
            // A last gasp is sent by what charge is left, and most often lost; the log of a meter is read later.
            self.tell(meter, (out.from, FAILED), (draw, 200), &mut sent);
            self.tell(meter, (out.to, RESTORED), (draw.part(1), 100), &mut sent);
        }
        for off in self.switched_off(meter) {
            let draw = meter.key.part(73).at(off.during.from.0);
            let opened = if off.is_prepaid { CUT_OFF } else { DISCONNECTED };
            if off.lost != Some(SwitchWord::Opened) {
                self.tell_late(meter, (off.during.from, opened), draw, &mut sent);
            }
            if off.lost != Some(SwitchWord::Closed) {
                self.tell_late(meter, (off.during.to, CONNECTED), draw.part(1), &mut sent);
            }
        }
        sent.sort_by_key(|sent| (sent.sent_at, sent.event.at, sent.event.code));
        sent
    }

    /// A word that may be lost: by itself, or with the communication of its time.
    fn tell(
        &self,
        meter: &Meter,
        (at, code): (UtcMicros, i32),
        (draw, lost_permille): (Key, u16),
        sent: &mut Vec<SentEvent>,
    ) {
        let is_lost = draw.part(1).chance_permille(lost_permille);
        let is_unheard = self
            .silence_at(meter, at)
            .is_some_and(|silence| silence.is_lost || code == FAILED || draw.part(2).chance_permille(500));
        if !is_lost && !is_unheard {
            self.tell_late(meter, (at, code), draw, sent);
        }
    }

    /// A word that comes, at once or later, once or twice.
    fn tell_late(&self, meter: &Meter, (at, code): (UtcMicros, i32), draw: Key, sent: &mut Vec<SentEvent>) {
        let late = if draw.part(3).chance_permille(50) {
            signed(draw.part(4).between(60, 36 * 3_600)) * SECOND
        } else {
            signed(draw.part(4).between(1, 30)) * SECOND
        };
        let heard_at = self.silence_at(meter, at).map_or(at, |silence| silence.during.to);
        let event = PowerEvent {
            at: at.plus(Manner::of(meter).drift_micros),
            code,
            sequence: Some(at.0 / SECOND),
        };
        let sent_at = heard_at.plus(late);
        sent.push(SentEvent { event, sent_at });
        if draw.part(5).chance_permille(50) {
            let again = signed(draw.part(6).between(1, 7_200)) * SECOND;
            sent.push(SentEvent {
                event,
                sent_at: sent_at.plus(again),
            });
        }
    }
}

#[cfg(test)]
mod tests;
