//! How a feeder is drawn from the seed: proportions and ratings.

use gridtally_schemas::{
    IntervalMinutes,
    network::{MeterRole, Metering, Prosumer, Supply},
};

use super::{Consumer, Dt, Feeder, Hook, HookHours, Meter, MeterRef, Tie};
use crate::{
    layout::{FeederKind, Fleet},
    prng::{Key, count, signed},
    shape::Category,
};

/// Quarter hours of thirty days: thefts that begin later begin within them.
const QUARTERS_OF_MONTH: u64 = 2_880;
/// Standard ratings of DTs, kVA.
const DT_KVA: [i64; 10] = [25, 63, 100, 160, 200, 250, 315, 400, 500, 630];

impl Feeder {
    pub(crate) fn build(fleet: &Fleet, number: u64) -> Self {
        let kind = fleet.kind_of(number);
        let key = fleet.feeder_key(number);
        let consumers = fleet.consumers_of(number);
        let ht_count = match kind {
            FeederKind::Urban => consumers / 300,
            FeederKind::Rural => consumers / 400,
            FeederKind::Agriculture => 0,
            FeederKind::Industrial => consumers / 40,
        };
        let thirty = key.part(1).chance_permille(fleet.config().thirty_minute_permille);
        let consumer_minutes = if thirty {
            IntervalMinutes::Thirty
        } else {
            IntervalMinutes::Fifteen
        };
        let ht: Vec<Consumer> = (0..ht_count)
            .map(|place| ht_consumer(kind, key.part(2).part(place)))
            .collect();
        let dts = draw_dts(fleet, kind, key, (consumers - ht_count, consumer_minutes));
        let average_w = dts
            .iter()
            .flat_map(|dt| &dt.consumers)
            .chain(&ht)
            .map(average_w)
            .sum::<i64>();
        let mut feeder = Self {
            fleet: fleet.clone(),
            number,
            kind,
            key,
            dts,
            ht,
            tie: tie(fleet, number),
            multiplier: match average_w {
                ..200_000 => 100,
                200_000..400_000 => 200,
                400_000..800_000 => 400,
                _ => 800,
            },
            capacity_kva: (average_w * 4 / 1_000 / 500 + 1) * 500,
            line_permille: signed(key.part(3).between(22, if kind.is_rural() { 70 } else { 45 })),
            consumer_minutes,
            meters: Vec::new(),
        };
        feeder.meters = feeder.draw_meters();
        feeder
    }

    fn draw_meters(&self) -> Vec<Meter> {
        let mut meters = Vec::with_capacity(self.consumer_count() + self.dts.len() + 2);
        for (number, dt) in self.dts.iter().enumerate() {
            for consumer in &dt.consumers {
                self.push_consumer(&mut meters, consumer, Some(number));
            }
            if dt.metered {
                self.push(
                    &mut meters,
                    (MeterRole::Dt, Some(number)),
                    dt.multiplier,
                    dt.minutes,
                );
            }
        }
        for consumer in &self.ht {
            self.push_consumer(&mut meters, consumer, None);
        }
        let fifteen = IntervalMinutes::Fifteen;
        self.push(&mut meters, (MeterRole::Feeder, None), self.multiplier, fifteen);
        if let Some(tie) = self.tie.as_ref().filter(|tie| tie.owned) {
            self.push(&mut meters, (MeterRole::Boundary, None), tie.multiplier, fifteen);
        }
        meters
    }

    fn push_consumer(&self, meters: &mut Vec<Meter>, consumer: &Consumer, dt: Option<usize>) {
        if consumer.is_metered() {
            self.push(
                meters,
                (MeterRole::Consumer, dt),
                consumer.multiplier,
                self.consumer_minutes,
            );
            if let Some(meter) = meters.last_mut() {
                meter.sends_export =
                    matches!(consumer.prosumer, Prosumer::NetMetering | Prosumer::NetBilling);
            }
        }
        if consumer.prosumer == Prosumer::GrossMetering {
            self.push(meters, (MeterRole::Generation, dt), 1, self.consumer_minutes);
        }
    }

    fn push(
        &self,
        meters: &mut Vec<Meter>,
        of: (MeterRole, Option<usize>),
        multiplier: i64,
        minutes: IntervalMinutes,
    ) {
        let slot = u32::try_from(meters.len()).unwrap_or(u32::MAX);
        meters.push(Meter {
            meter: MeterRef {
                feeder: u32::try_from(self.number).unwrap_or(u32::MAX),
                slot,
            },
            role: of.0,
            dt: of.1,
            multiplier,
            minutes,
            key: self.key.part(10).part(u64::from(slot)),
            sends_export: true,
        });
    }
}

/// Average power as the network sees it, W.
fn average_w(consumer: &Consumer) -> i64 {
    match consumer.category {
        // Eight hours of supply.
        Category::Agriculture => consumer.base_w / 4,
        Category::DomesticUrban
        | Category::DomesticRural
        | Category::Commercial
        | Category::Industry
        | Category::StreetLight
        | Category::HtIndustry
        | Category::HtCommercial => consumer.base_w,
    }
}

/// DTs of 20 to 40 consumers: an even share, less or more by up to six in pairs.
fn draw_dts(fleet: &Fleet, kind: FeederKind, key: Key, of: (u64, IntervalMinutes)) -> Vec<Dt> {
    let (consumers, minutes) = of;
    let usual = if kind == FeederKind::Agriculture { 26 } else { 34 };
    let dts = ((consumers + usual / 2) / usual).max(1);
    (0..dts)
        .map(|number| {
            let share = consumers / dts + u64::from(number < consumers % dts);
            let pair = number / 2;
            let shift = key.part(4).part(pair).below(7).min(consumers / dts / 3);
            let size = if pair * 2 + 1 >= dts {
                share
            } else if number.is_multiple_of(2) {
                share + shift
            } else {
                share - shift
            };
            draw_dt(fleet, kind, key.part(5).part(number), (size, minutes))
        })
        .collect()
}

fn draw_dt(fleet: &Fleet, kind: FeederKind, key: Key, of: (u64, IntervalMinutes)) -> Dt {
    let (consumers, minutes) = of;
    let pumps_only = kind == FeederKind::Agriculture && key.part(1).chance_permille(700);
    let consumers: Vec<Consumer> = (0..consumers)
        .map(|place| {
            let key = key.part(2).part(place);
            lt_consumer(fleet, (kind, pumps_only), key)
        })
        .collect();
    let peak_w: i64 = consumers
        .iter()
        .map(|consumer| match consumer.category {
            Category::Agriculture => consumer.base_w,
            Category::DomesticUrban
            | Category::DomesticRural
            | Category::Commercial
            | Category::Industry
            | Category::StreetLight
            | Category::HtIndustry
            | Category::HtCommercial => consumer.base_w * 5 / 2,
        })
        .sum::<i64>()
        .max(consumers.iter().map(|consumer| consumer.solar_w).sum());
    let capacity_kva = DT_KVA
        .into_iter()
        .find(|kva| kva * 900 >= peak_w)
        .unwrap_or(1_000);
    let quarter_meter = key.part(3).chance_permille(500);
    let mut dt = Dt {
        key,
        consumers,
        metered: !key.part(4).chance_permille(fleet.config().dt_unmetered_permille),
        multiplier: match capacity_kva {
            ..=63 => 10,
            64..=160 => 20,
            161..=315 => 40,
            _ => 80,
        },
        minutes: if quarter_meter {
            IntervalMinutes::Fifteen
        } else {
            minutes
        },
        capacity_kva,
        technical_permille: signed(key.part(5).between(40, if kind.is_rural() { 120 } else { 85 })),
        supply_group: pumps_only.then(|| key.part(6).below(3)),
        hook: None,
    };
    let theft_permille = fleet.config().theft_permille * if kind.is_rural() { 2 } else { 1 };
    if !pumps_only && key.part(7).chance_permille(theft_permille) {
        steal(fleet, &mut dt);
    } else if !pumps_only && key.part(8).chance_permille(fleet.config().night_hook_permille) {
        let key = key.part(31);
        dt.hook = Some(Hook {
            hours: HookHours::Night,
            key: key.part(6),
            base_w: signed(key.part(7).between(2_000, 6_000)),
            from: crate::Quarter::containing(fleet.config().start).0,
        });
    }
    dt
}

/// One bypass or one hook at a DT: most from the start on, the others from a day within the first month.
fn steal(fleet: &Fleet, dt: &mut Dt) {
    let key = dt.key.part(30);
    let start = crate::Quarter::containing(fleet.config().start).0;
    let from = if key.part(1).chance_permille(700) {
        start
    } else {
        start + signed(key.part(2).below(QUARTERS_OF_MONTH))
    };
    let chosen = crate::prng::size(key.part(3).below(count(dt.consumers.len())));
    let bypass = key.part(4).chance_permille(600);
    match dt
        .consumers
        .get_mut(chosen)
        .filter(|consumer| bypass && consumer.is_metered())
    {
        Some(consumer) => {
            // Worth stealing: the consumer draws several times the usual.
            if consumer.multiplier == 1 && consumer.base_w < 1_500 {
                consumer.base_w *= 3;
                consumer.sanctioned_w *= 3;
            }
            consumer.bypass = Some((signed(key.part(5).between(300, 900)), from));
        }
        None => {
            dt.hook = Some(Hook {
                hours: HookHours::LikeAHome,
                key: key.part(6),
                base_w: signed(key.part(7).between(800, 3_500)),
                from,
            });
        }
    }
}

fn lt_consumer(fleet: &Fleet, of: (FeederKind, bool), key: Key) -> Consumer {
    let (kind, pumps_only) = of;
    let draw = key.part(1).below(1_000);
    let category = match kind {
        FeederKind::Agriculture if pumps_only => Category::Agriculture,
        FeederKind::Urban => match draw {
            ..790 => Category::DomesticUrban,
            790..950 => Category::Commercial,
            950..985 => Category::Industry,
            _ => Category::StreetLight,
        },
        FeederKind::Rural | FeederKind::Agriculture => match draw {
            ..850 => Category::DomesticRural,
            850..925 => Category::Commercial,
            925..970 => Category::Agriculture,
            970..985 => Category::Industry,
            _ => Category::StreetLight,
        },
        FeederKind::Industrial => match draw {
            ..350 => Category::DomesticUrban,
            350..620 => Category::Commercial,
            620..980 => Category::Industry,
            _ => Category::StreetLight,
        },
    };
    let (low, high) = match category {
        Category::DomesticUrban => (80, 340),
        Category::DomesticRural => (40, 180),
        Category::Commercial => (120, 900),
        Category::Industry => (800, 5_000),
        Category::StreetLight => (200, 700),
        Category::Agriculture | Category::HtIndustry | Category::HtCommercial => (0, 0),
    };
    let mut consumer = Consumer {
        key: key.part(2),
        category,
        supply: Supply::Lt,
        metering: metering(category, pumps_only, key),
        prosumer: Prosumer::None,
        base_w: signed(key.part(3).between(low, high)),
        solar_w: 0,
        multiplier: 1,
        sanctioned_w: 0,
        assessed_wh_month: 0,
        phases: 1,
        bypass: None,
    };
    if category == Category::Agriculture {
        // 3, 5 and 7.5 hp.
        consumer.base_w = match key.part(3).below(3) {
            0 => 2_238,
            1 => 3_730,
            _ => 5_595,
        };
    }
    rate(&mut consumer);
    if let Category::DomesticUrban | Category::DomesticRural | Category::Commercial = category {
        add_rooftop(fleet, kind, &mut consumer);
    }
    consumer
}

fn metering(category: Category, pumps_only: bool, key: Key) -> Metering {
    let unmetered_permille = match category {
        Category::Agriculture if pumps_only => 750,
        Category::Agriculture => 500,
        Category::StreetLight => 400,
        Category::DomesticUrban
        | Category::DomesticRural
        | Category::Commercial
        | Category::Industry
        | Category::HtIndustry
        | Category::HtCommercial => 0,
    };
    if key.part(4).chance_permille(unmetered_permille) {
        Metering::Unmetered
    } else if key.part(5).chance_permille(600) {
        Metering::Prepaid
    } else {
        Metering::Postpaid
    }
}

/// Sanctioned load, phases, CT and assessment from the power drawn.
fn rate(consumer: &mut Consumer) {
    let (times, hours_month) = match consumer.category {
        Category::Agriculture => (1, 150),
        Category::StreetLight => (2, 350),
        Category::DomesticUrban
        | Category::DomesticRural
        | Category::Commercial
        | Category::Industry
        | Category::HtIndustry
        | Category::HtCommercial => (6, 0),
    };
    consumer.sanctioned_w = (consumer.base_w * times).div_euclid(500) * 500 + 1_000;
    consumer.phases = if consumer.sanctioned_w > 5_000 || consumer.category == Category::Agriculture {
        3
    } else {
        1
    };
    // Whole-current meters carry 20 kW; above, CTs of 50/5 or 100/5 stand before the meter.
    consumer.multiplier = match consumer.sanctioned_w {
        ..=20_000 => 1,
        20_001..=35_000 => 10,
        _ => 20,
    };
    if !consumer.is_metered() {
        consumer.assessed_wh_month = consumer.base_w * hours_month / 1_000 * 1_000;
    }
}

fn add_rooftop(fleet: &Fleet, kind: FeederKind, consumer: &mut Consumer) {
    let key = consumer.key.part(40);
    let permille = fleet.config().prosumer_permille / if kind.is_rural() { 3 } else { 1 };
    if consumer.multiplier != 1 || !key.chance_permille(permille) {
        return;
    }
    consumer.solar_w = signed(key.part(1).between(4, 12)) * 500;
    consumer.sanctioned_w = consumer.sanctioned_w.max(consumer.solar_w);
    consumer.prosumer = match key.part(2).below(100) {
        ..65 => Prosumer::NetMetering,
        65..85 => Prosumer::NetBilling,
        _ => Prosumer::GrossMetering,
    };
}

fn ht_consumer(kind: FeederKind, key: Key) -> Consumer {
    let factory = kind == FeederKind::Industrial || key.part(1).chance_permille(400);
    let (category, base_w) = if factory {
        (Category::HtIndustry, key.part(2).between(30, 200))
    } else {
        (Category::HtCommercial, key.part(2).between(20, 80))
    };
    let base_w = signed(base_w) * 1_000;
    Consumer {
        key: key.part(3),
        category,
        supply: Supply::Ht,
        metering: Metering::Postpaid,
        prosumer: Prosumer::None,
        base_w,
        solar_w: 0,
        // PT 11 kV/110 V (100) times CT 5/5, 10/5 or 20/5.
        multiplier: match base_w {
            ..80_000 => 100,
            80_000..160_000 => 200,
            _ => 400,
        },
        sanctioned_w: base_w * 3,
        assessed_wh_month: 0,
        phases: 3,
        bypass: None,
    }
}

fn tie(fleet: &Fleet, number: u64) -> Option<Tie> {
    let even = number - number % 2;
    let owned = number == even;
    fleet.is_tied(even).then(|| Tie {
        key: fleet.key().part(6).part(even),
        other: if owned { even + 1 } else { even },
        owned,
        multiplier: 100,
        // About a fifth of what the owner's consumers draw: 50 Wh each in a quarter.
        counts: signed(fleet.consumers_of(even)) / 10 + 1,
    })
}
