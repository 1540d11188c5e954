//! Energies of one feeder in one quarter hour, exact to the Wh, and the reads that its meters make of them.
//!
//! What a meter counts times its multiplier is what flows: every flow past a meter is a whole number of its counts, and what that
//! rounding takes is technical loss. So, in every quarter and without tolerance:
//!
//! ```text
//! DT:      import - export = consumers' import - consumers' export + unmetered drawn + stolen + technical loss
//! feeder:  import - export + boundary in - boundary out = DTs' net input + HT import - HT export + 11 kV loss
//! ```

use gridtally_schemas::{IntervalMinutes, IntervalRead, Zone, network::Prosumer};

use crate::{
    calendar::{Moment, Quarter},
    feeder::{Consumer, Dt, Feeder, HookHours, Meter, Tie},
    prng::signed,
    shape::{self, Category},
};

mod voltage;

use voltage::{Phases, of_rating};

/// What one meter counted in a quarter.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Wh imported as the meter counts.
    pub import_wh: i64,
    /// Wh exported as the meter counts.
    pub export_wh: i64,
    /// Voltage at the meter's terminals, tenths of a volt; 0 without supply.
    pub(crate) decivolts: i64,
    pub(crate) power_factor_permille: i64,
}

/// Energies at one DT in one quarter, Wh on the network.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct DtFlow {
    /// Into the DT's low-voltage side from the feeder.
    pub import_wh: i64,
    /// From it into the feeder.
    pub export_wh: i64,
    /// Imports that consumers' meters counted.
    pub consumer_import_wh: i64,
    /// Exports that consumers' and generation meters counted.
    pub consumer_export_wh: i64,
    /// Drawn by unmetered consumers in truth, whatever is assessed.
    pub unmetered_wh: i64,
    /// Drawn past the meters.
    pub stolen_wh: i64,
    /// Lost on the low-tension lines.
    pub technical_wh: i64,
}

/// Energies at the feeder itself in one quarter, Wh on the network.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct FeederFlow {
    /// From the substation into the feeder.
    pub import_wh: i64,
    /// From the feeder into the substation.
    pub export_wh: i64,
    /// From the neighbour into this feeder.
    pub boundary_in_wh: i64,
    /// From this feeder into the neighbour.
    pub boundary_out_wh: i64,
    /// Imports of HT consumers.
    pub ht_import_wh: i64,
    /// Exports of HT consumers.
    pub ht_export_wh: i64,
    /// Lost on the 11 kV line and in the DTs.
    pub line_wh: i64,
}

/// All energies of a feeder in one quarter.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Flow {
    /// By slot.
    pub counts: Vec<Count>,
    /// By DT.
    pub dts: Vec<DtFlow>,
    /// The feeder itself.
    pub feeder: FeederFlow,
}

impl DtFlow {
    /// What consumers draw less what they give, metered or not.
    const fn drawn_wh(&self) -> i64 {
        self.consumer_import_wh + self.unmetered_wh + self.stolen_wh - self.consumer_export_wh
    }
}

/// The sky over a feeder in a quarter, and what goes with it.
struct Sky<'a> {
    moment: &'a Moment,
    solar_permille: i64,
}

impl Feeder {
    /// Computes all energies of a quarter into `flow`, whose buffers are reused.
    pub fn flow(&self, moment: &Moment, flow: &mut Flow) {
        flow.counts.clear();
        flow.dts.clear();
        let clouds = self.key.part(50);
        let day = signed(clouds.at(moment.day.0.into()).between(350, 1_000));
        let now = signed(clouds.part(1).at(moment.quarter.0).between(800, 1_000));
        let sky = Sky {
            moment,
            solar_permille: moment.solar_permille * day * now / 1_000_000,
        };
        for dt in &self.dts {
            let of_dt = dt_flow(dt, &sky, &mut flow.counts);
            flow.dts.push(of_dt);
        }
        flow.feeder = self.feeder_flow(&sky, flow);
        self.add_upstream_voltage(moment, flow);
    }

    fn feeder_flow(&self, sky: &Sky<'_>, flow: &mut Flow) -> FeederFlow {
        let mut own = FeederFlow::default();
        for consumer in &self.ht {
            let load = consumed(consumer, sky.moment);
            own.ht_import_wh += load * consumer.multiplier;
            flow.counts.push(Count {
                import_wh: load,
                export_wh: 0,
                decivolts: 1_100,
                power_factor_permille: consumer.category.power_factor_permille(),
            });
        }
        // No-load loss of the DTs: 0.2 % of their rating.
        let iron_wh: i64 = self.dts.iter().map(|dt| dt.capacity_kva * 2 / 4).sum();
        let through = flow.dts.iter().map(|dt| dt.import_wh - dt.export_wh).sum::<i64>() + own.ht_import_wh
            - own.ht_export_wh;
        let load_permille = through.abs() * 4 / self.capacity_kva.max(1);
        let copper_wh = through.abs() * self.line_permille * (500 + load_permille) / 1_000_000;
        let (taken, given) = self.tie.as_ref().map_or((0, 0), |tie| transfer(tie, sky.moment));
        if let Some(tie) = &self.tie {
            own.boundary_in_wh = taken * tie.multiplier;
            own.boundary_out_wh = given * tie.multiplier;
        }
        let need = through + iron_wh + copper_wh - own.boundary_in_wh + own.boundary_out_wh;
        let counts = ceil_div(need, self.multiplier);
        own.line_wh = iron_wh + copper_wh + counts * self.multiplier - need;
        own.import_wh = counts.max(0) * self.multiplier;
        own.export_wh = (-counts).max(0) * self.multiplier;
        let at_substation = Count {
            decivolts: 1_100,
            power_factor_permille: 960,
            ..Count::default()
        };
        flow.counts.push(Count {
            import_wh: counts.max(0),
            export_wh: (-counts).max(0),
            ..at_substation
        });
        if self.tie.as_ref().is_some_and(|tie| tie.owned) {
            flow.counts.push(Count {
                import_wh: taken,
                export_wh: given,
                ..at_substation
            });
        }
        own
    }
}

fn ceil_div(value: i64, by: i64) -> i64 {
    -(-value).div_euclid(by)
}

fn dt_flow(dt: &Dt, sky: &Sky<'_>, counts: &mut Vec<Count>) -> DtFlow {
    let moment = sky.moment;
    let supplied = dt
        .supply_group
        .is_none_or(|group| shape::has_pump_supply(group, moment.day.0, moment.of_day));
    let first = counts.len();
    let mut flow = DtFlow::default();
    let mut phases = Phases::default();
    for consumer in &dt.consumers {
        if supplied {
            let before = flow.drawn_wh();
            consumer_flow(consumer, sky, &mut flow, counts);
            phases.add(consumer, flow.drawn_wh() - before);
        } else {
            push_dark(consumer, counts);
        }
    }
    if let Some(hook) = dt
        .hook
        .as_ref()
        .filter(|hook| supplied && hook.from <= moment.quarter.0)
    {
        let draw = hook.key.at(moment.quarter.0);
        flow.stolen_wh += match hook.hours {
            HookHours::LikeAHome => {
                let level = Category::DomesticRural.row(&moment.levels);
                hook.base_w * level * signed(draw.between(700, 1_300)) / 4_000_000
            }
            HookHours::Night if !(20..88).contains(&moment.of_day) => hook.base_w / 4,
            HookHours::Night => 0,
        };
    }
    let drawn = flow.consumer_import_wh + flow.unmetered_wh + flow.stolen_wh;
    let load_permille = of_rating(drawn.max(flow.consumer_export_wh), dt);
    let technical = drawn * dt.technical_permille * (600 + 600 * load_permille / 1_000) / 1_000_000;
    let net = drawn - flow.consumer_export_wh + technical;
    let net_counts = ceil_div(net, dt.multiplier);
    flow.technical_wh = technical + net_counts * dt.multiplier - net;
    // Near balance the flow turns within the quarter, so both registers count.
    let turns = if flow.consumer_export_wh == 0 {
        0
    } else {
        signed(dt.key.part(51).at(moment.quarter.0).below(4))
    };
    let (import, export) = (net_counts.max(0) + turns, (-net_counts).max(0) + turns);
    flow.import_wh = import * dt.multiplier;
    flow.export_wh = export * dt.multiplier;
    let levels = phases.levels(dt);
    if supplied {
        levels.set_voltages(counts.get_mut(first..).unwrap_or_default(), dt, moment);
    }
    if dt.metered {
        counts.push(Count {
            import_wh: import,
            export_wh: export,
            decivolts: if supplied { levels.at_dt_decivolts() } else { 0 },
            power_factor_permille: 940,
        });
    }
    flow
}

fn push_dark(consumer: &Consumer, counts: &mut Vec<Count>) {
    let meters =
        usize::from(consumer.is_metered()) + usize::from(consumer.prosumer == Prosumer::GrossMetering);
    let dark = Count {
        power_factor_permille: 1_000,
        ..Count::default()
    };
    counts.extend(std::iter::repeat_n(dark, meters));
}

fn consumer_flow(consumer: &Consumer, sky: &Sky<'_>, flow: &mut DtFlow, counts: &mut Vec<Count>) {
    let load = consumed(consumer, sky.moment);
    if !consumer.is_metered() {
        flow.unmetered_wh += load * consumer.multiplier;
        return;
    }
    let seen = match consumer.bypass {
        Some((share, from)) if from <= sky.moment.quarter.0 => load * (1_000 - share) / 1_000,
        Some(_) | None => load,
    };
    flow.stolen_wh += (load - seen) * consumer.multiplier;
    let of_meter = Count {
        import_wh: seen,
        export_wh: 0,
        decivolts: 0,
        power_factor_permille: consumer.category.power_factor_permille(),
    };
    if consumer.solar_w == 0 {
        flow.consumer_import_wh += seen * consumer.multiplier;
        counts.push(of_meter);
        return;
    }
    // A rooftop's consumer is never on CTs: its multiplier is 1.
    let draw = consumer.key.part(41).at(sky.moment.quarter.0);
    let made = consumer.solar_w * sky.solar_permille * signed(draw.between(940, 1_000)) / 4_000_000;
    if consumer.prosumer == Prosumer::GrossMetering {
        flow.consumer_import_wh += seen;
        flow.consumer_export_wh += made;
        counts.push(of_meter);
        counts.push(Count {
            import_wh: 0,
            export_wh: made,
            ..of_meter
        });
        return;
    }
    // Clouds and appliances come and go within the quarter: part of what is made and drawn passes the meter both ways.
    let both_ways = made.min(seen) * signed(draw.part(1).below(200)) / 1_000;
    let import_wh = (seen - made).max(0) + both_ways;
    let export_wh = (made - seen).max(0) + both_ways;
    flow.consumer_import_wh += import_wh;
    flow.consumer_export_wh += export_wh;
    counts.push(Count {
        import_wh,
        export_wh,
        ..of_meter
    });
}

/// What a consumer draws in a quarter, in counts of its meter.
fn consumed(consumer: &Consumer, moment: &Moment) -> i64 {
    let draw = consumer.key.at(moment.quarter.0);
    let level = *consumer.category.row(&moment.levels);
    let bits = draw.bits();
    let milliwatts = match consumer.category {
        Category::Agriculture => {
            let today = consumer.key.part(1).at(moment.day.0.into());
            if today.below(1_000) < 750 && signed(bits & 0x3FF) < level {
                consumer.base_w * signed(900 + (bits >> 10 & 0x3F))
            } else {
                0
            }
        }
        Category::StreetLight => consumer.base_w * level,
        Category::DomesticUrban | Category::DomesticRural => {
            let appliance = if bits >> 10 & 0x3F == 0 {
                consumer.base_w * 1_500
            } else {
                0
            };
            let away = consumer.key.part(1).at(moment.day.0.into()).below(64) == 0;
            let usual = consumer.base_w * level * signed(600 + (bits & 0x3FF) * 800 / 1_024) / 1_000;
            if away { usual / 8 } else { usual + appliance }
        }
        Category::Commercial | Category::Industry | Category::HtIndustry | Category::HtCommercial => {
            consumer.base_w * level * signed(800 + (bits & 0x3FF) * 400 / 1_024) / 1_000
        }
    };
    // A quarter of an hour, with the fraction of a count kept or dropped in proportion.
    let milliwatt_hours = milliwatts.min(consumer.sanctioned_w * 1_000) / 4;
    let step = consumer.multiplier * 1_000;
    let dither = (signed(bits >> 32) * step) >> 32;
    (milliwatt_hours + dither) / step
}

/// What passes a tie in a quarter, counts of its meter: into this feeder, out of it.
fn transfer(tie: &Tie, moment: &Moment) -> (i64, i64) {
    let today = tie.key.at(moment.day.0.into());
    let from = signed(today.part(1).below(72));
    let until = from + signed(today.part(2).between(6, 24));
    if !today.chance_permille(700) || moment.of_day < from || moment.of_day >= until {
        return (0, 0);
    }
    let counts = tie.counts * signed(tie.key.part(3).at(moment.quarter.0).between(800, 1_200)) / 1_000;
    // Three days of four the owner takes.
    if today.part(4).chance_permille(750) == tie.owned {
        (counts, 0)
    } else {
        (0, counts)
    }
}

/// The reads that a feeder's meters make of the interval that ends with one quarter.
#[derive(Debug, Default, Clone)]
pub struct Reads {
    feeder: Option<u64>,
    quarter: Quarter,
    now: Flow,
    before: Flow,
}

impl Reads {
    /// Computes the reads of `feeder` for `quarter`; going on by one quarter costs half as much as a jump.
    pub fn compute(&mut self, feeder: &Feeder, zone: &Zone, quarter: Quarter) {
        let follows = self.feeder == Some(feeder.number()) && self.quarter.plus(1) == quarter;
        std::mem::swap(&mut self.now, &mut self.before);
        if !follows && feeder.balance_minutes() == IntervalMinutes::Thirty {
            feeder.flow(&Moment::new(zone, quarter.plus(-1)), &mut self.before);
        }
        feeder.flow(&Moment::new(zone, quarter), &mut self.now);
        self.feeder = Some(feeder.number());
        self.quarter = quarter;
    }

    /// Every meter with its read; a half-hour meter has one in every second quarter.
    pub fn iter<'a>(&'a self, feeder: &'a Feeder) -> impl Iterator<Item = (&'a Meter, IntervalRead)> {
        let pairs = feeder.meters().iter().zip(&self.now.counts).enumerate();
        pairs
            .filter(|(_, (meter, _))| self.quarter.ends_interval(meter.minutes))
            .map(|(slot, (meter, now))| {
                let before = match meter.minutes {
                    IntervalMinutes::Fifteen => None,
                    IntervalMinutes::Thirty => self.before.counts.get(slot),
                };
                (meter, read(meter, self.quarter, *now, before))
            })
    }

    /// The read of one slot; `None` when its interval does not end with this quarter.
    #[must_use]
    pub fn of_slot(&self, feeder: &Feeder, slot: u32) -> Option<IntervalRead> {
        let slot = usize::try_from(slot).ok()?;
        let meter = feeder.meters().get(slot)?;
        let before = match meter.minutes {
            IntervalMinutes::Fifteen => None,
            IntervalMinutes::Thirty => Some(self.before.counts.get(slot)?),
        };
        self.quarter.ends_interval(meter.minutes).then(|| {
            read(
                meter,
                self.quarter,
                self.now.counts.get(slot).copied().unwrap_or_default(),
                before,
            )
        })
    }

    /// The energies of the quarter itself.
    #[must_use]
    pub fn flow(&self) -> &Flow {
        &self.now
    }

    /// The energies of the quarter before; only on a feeder whose balance interval is half an hour.
    #[must_use]
    pub fn flow_before(&self) -> &Flow {
        &self.before
    }
}

fn read(meter: &Meter, quarter: Quarter, now: Count, before: Option<&Count>) -> IntervalRead {
    let (import_wh, export_wh, decivolts, quarters) = match before {
        None => (now.import_wh, now.export_wh, now.decivolts, 1),
        Some(before) => (
            now.import_wh + before.import_wh,
            now.export_wh + before.export_wh,
            i64::midpoint(now.decivolts, before.decivolts),
            2,
        ),
    };
    let import_vah = import_wh * 1_000 / now.power_factor_permille.max(1);
    // Hundredths of an ampere: VA / V, with VAh times four (or two) as the mean VA.
    let centiamperes = (import_vah * 4_000)
        .checked_div(decivolts * quarters)
        .unwrap_or_default();
    let small = |value: i64| f32::from(u16::try_from(value.max(0)).unwrap_or(u16::MAX));
    IntervalRead {
        interval_end: quarter.end(),
        import_wh: Some(import_wh),
        export_wh: meter.sends_export.then_some(export_wh),
        import_vah: Some(import_vah),
        voltage_v: Some(small(decivolts) / 10.0),
        current_a: Some(small(centiamperes) / 100.0),
        captured_at: None,
        revision: 0,
    }
}

#[cfg(test)]
mod tests;
