//! Truth: what the balances are, and what the platform must publish given what was delivered.
//!
//! Two computations of the same definitions (DOMAIN section 2): [`Feeder::truth`] from the flows that the generator made,
//! [`Feeder::balance_of`] by naive sums over reads, multiplier by multiplier. Where every read arrives they agree to the Wh.

use gridtally_schemas::{IntervalMinutes, IntervalRead, network::MeterRole};

use crate::{
    calendar::{Quarter, assessed_wh},
    delivery,
    feeder::{Feeder, Meter},
    flow::{DtFlow, Flow, Reads},
    prng::{count, signed, size},
};

/// Truth at one DT in one balance interval, Wh on the network.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct DtTruth {
    /// Injected: DT import and consumers' export.
    pub injected_wh: i64,
    /// Delivered: DT export, consumers' metered import and the assessed part of the unmetered.
    pub delivered_wh: i64,
    /// Injected less delivered.
    pub loss_wh: i64,
    /// Assessed for unmetered consumers.
    pub assessed_wh: i64,
    /// The flows behind it.
    pub flow: DtFlow,
}

/// Truth at a feeder in one balance interval, Wh on the network.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct FeederTruth {
    /// Input: import less export, boundary in less boundary out.
    pub input_wh: i64,
    /// Lost between the feeder's meter and the DTs' low-voltage sides.
    pub ht_loss_wh: i64,
    /// Sum of the DTs' losses.
    pub lt_loss_wh: i64,
    /// Both.
    pub total_loss_wh: i64,
}

/// A DT's balance as the platform must have it; `None` where the DT's own meter has no value or there is none.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct DtBalance {
    /// DT meter's import.
    pub dt_import_wh: Option<i64>,
    /// DT meter's export.
    pub dt_export_wh: Option<i64>,
    /// Sum of consumers' import.
    pub consumer_import_wh: i64,
    /// Sum of consumers' export, generation included.
    pub consumer_export_wh: i64,
    /// Assessed.
    pub unmetered_wh: i64,
    /// Injected.
    pub injected_wh: Option<i64>,
    /// Delivered.
    pub delivered_wh: Option<i64>,
    /// Loss.
    pub loss_wh: Option<i64>,
    /// Meters that belong to it, its own included.
    pub meters_expected: u64,
    /// Meters with a value for the whole interval.
    pub meters_reported: u64,
}

/// A feeder's balance as the platform must have it; `None` where the feeder's or a boundary meter has no value.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct FeederBalance {
    /// Feeder meter's import.
    pub feeder_import_wh: Option<i64>,
    /// Feeder meter's export.
    pub feeder_export_wh: Option<i64>,
    /// From the neighbour.
    pub boundary_in_wh: Option<i64>,
    /// To the neighbour.
    pub boundary_out_wh: Option<i64>,
    /// Input.
    pub input_wh: Option<i64>,
    /// Net input of the metered DTs.
    pub dt_input_wh: i64,
    /// Imports of HT consumers.
    pub ht_import_wh: i64,
    /// Exports of HT consumers.
    pub ht_export_wh: i64,
    /// Imports of all consumers.
    pub consumer_import_wh: i64,
    /// Exports of all consumers.
    pub consumer_export_wh: i64,
    /// Assessed.
    pub unmetered_wh: i64,
    /// Sum of the metered DTs' losses.
    pub lt_loss_wh: i64,
    /// Input and all exports less all imports and the assessed.
    pub total_loss_wh: Option<i64>,
    /// DTs whose meter has a value.
    pub dt_metered: u64,
    /// DTs.
    pub dt_total: u64,
    /// Meters that belong to it, those at DTs and the boundary included.
    pub meters_expected: u64,
    /// Meters with a value for the whole interval.
    pub meters_reported: u64,
}

/// What one meter adds to a balance, Wh on the network.
#[derive(Debug, Default, Clone, Copy)]
struct Said {
    import_wh: i64,
    export_wh: i64,
    present: bool,
}

impl Feeder {
    /// Truth in the balance interval that ends with `quarter`: by DT, and the feeder itself. `None` when none ends there.
    #[must_use]
    pub fn truth(&self, quarter: Quarter) -> Option<(Vec<DtTruth>, FeederTruth)> {
        let minutes = self.balance_minutes();
        if !quarter.ends_interval(minutes) {
            return None;
        }
        let mut reads = Reads::default();
        reads.compute(self, &self.fleet.config().zone, quarter);
        Some(self.truth_of(&reads, quarter))
    }

    /// The same from flows that were computed before.
    pub(crate) fn truth_of(&self, reads: &Reads, quarter: Quarter) -> (Vec<DtTruth>, FeederTruth) {
        let flows: Vec<&Flow> = match self.balance_minutes() {
            IntervalMinutes::Fifteen => vec![reads.flow()],
            IntervalMinutes::Thirty => vec![reads.flow_before(), reads.flow()],
        };
        let mut dts = vec![DtTruth::default(); self.dts.len()];
        let mut own = FeederTruth::default();
        for flow in &flows {
            for (truth, dt) in dts.iter_mut().zip(&flow.dts) {
                truth.flow = truth.flow.plus(dt);
            }
            let feeder = &flow.feeder;
            own.input_wh +=
                feeder.import_wh - feeder.export_wh + feeder.boundary_in_wh - feeder.boundary_out_wh;
            own.ht_loss_wh += feeder.line_wh;
        }
        for (number, truth) in dts.iter_mut().enumerate() {
            truth.assessed_wh = self.assessed_at(number, quarter);
            let flow = truth.flow;
            truth.injected_wh = flow.import_wh + flow.consumer_export_wh;
            truth.delivered_wh = flow.export_wh + flow.consumer_import_wh + truth.assessed_wh;
            truth.loss_wh = truth.injected_wh - truth.delivered_wh;
            own.lt_loss_wh += truth.loss_wh;
        }
        own.total_loss_wh = own.ht_loss_wh + own.lt_loss_wh;
        (dts, own)
    }

    /// Assessed consumption at a DT in the balance interval that ends with `quarter`.
    fn assessed_at(&self, dt: usize, quarter: Quarter) -> i64 {
        let month: Vec<i64> = self
            .dts
            .get(dt)
            .into_iter()
            .flat_map(|dt| &dt.consumers)
            .filter(|consumer| !consumer.is_metered())
            .map(|consumer| consumer.assessed_wh_month)
            .collect();
        assessed_wh(&self.fleet.config().zone, quarter, self.balance_minutes(), &month)
    }

    /// The boundary meter that takes part in its balance, its own or its neighbour's.
    #[must_use]
    pub fn boundary_meter(&self) -> Option<Meter> {
        let tie = self.tie.as_ref()?;
        if tie.owned {
            return self.meters.last().copied();
        }
        self.fleet.feeder(tie.other)?.meters.last().copied()
    }

    /// The balances that follow from the values that `held` says are held, by naive sums. `None` when no interval ends there.
    ///
    /// `held` is asked for every meter of the feeder and its boundary, and gives what stands for the interval that ends with the
    /// quarter, as the meter counts.
    pub fn balance_of(
        &self,
        quarter: Quarter,
        held: &mut dyn FnMut(&Meter, Quarter) -> Option<IntervalRead>,
    ) -> Option<(Vec<DtBalance>, FeederBalance)> {
        let minutes = self.balance_minutes();
        if !quarter.ends_interval(minutes) {
            return None;
        }
        let mut dts: Vec<DtBalance> = (0..self.dts.len())
            .map(|dt| DtBalance {
                unmetered_wh: self.assessed_at(dt, quarter),
                ..DtBalance::default()
            })
            .collect();
        let mut own = FeederBalance {
            dt_total: count(dts.len()),
            ..FeederBalance::default()
        };
        for meter in &self.meters {
            let said = said_by(meter, quarter, minutes, held);
            match meter.dt.and_then(|dt| dts.get_mut(dt)) {
                Some(dt) => dt.add(meter.role, said),
                None => own.add(meter.role, said),
            }
        }
        if let Some(tie) = &self.tie
            && let Some(boundary) = self.boundary_meter()
        {
            let said = said_by(&boundary, quarter, minutes, held);
            own.add_boundary(said, tie.owned);
        } else {
            own.boundary_in_wh = Some(0);
            own.boundary_out_wh = Some(0);
        }
        for dt in &mut dts {
            dt.close();
            own.add_dt(dt);
        }
        own.close();
        Some((dts, own))
    }

    /// The balances that must stand once everything due through `through` has arrived. `None` when no interval ends there.
    #[must_use]
    pub fn expected_balances(
        &self,
        quarter: Quarter,
        through: Quarter,
    ) -> Option<(Vec<DtBalance>, FeederBalance)> {
        let fleet = self.fleet.clone();
        let (zone, imperfections) = (&fleet.config().zone, fleet.config().imperfections);
        let mut reads = [Reads::default(), Reads::default()];
        let neighbour = self
            .tie
            .as_ref()
            .filter(|tie| !tie.owned)
            .and_then(|tie| fleet.feeder(tie.other));
        let mut beside = Reads::default();
        if let Some(before) = reads.first_mut() {
            before.compute(self, zone, quarter.plus(-1));
        }
        if let Some(now) = reads.last_mut() {
            now.compute(self, zone, quarter);
        }
        self.balance_of(quarter, &mut |meter, at| {
            let read = if u64::from(meter.meter.feeder) == self.number() {
                reads
                    .get(size(u64::from(at == quarter)))?
                    .of_slot(self, meter.meter.slot)
            } else {
                let neighbour = neighbour.as_ref()?;
                beside.compute(neighbour, zone, at);
                beside.of_slot(neighbour, meter.meter.slot)
            };
            delivery::expected(&imperfections, meter, read?, through)
        })
    }
}

/// The energy of one meter in the balance interval: of a quarter-hour meter in a half-hour balance the sum of both, complete
/// when both are there.
fn said_by(
    meter: &Meter,
    quarter: Quarter,
    minutes: IntervalMinutes,
    held: &mut dyn FnMut(&Meter, Quarter) -> Option<IntervalRead>,
) -> Said {
    let parts = signed(u64::from(minutes.quarters() / meter.minutes.quarters()));
    let mut said = Said {
        present: true,
        ..Said::default()
    };
    for back in 0..parts {
        match held(meter, quarter.plus(-back)).and_then(|read| Some((read.import_wh?, read.export_wh))) {
            Some((import_wh, export_wh)) => {
                said.import_wh += import_wh * meter.multiplier;
                said.export_wh += export_wh.unwrap_or_default() * meter.multiplier;
            }
            None => said.present = false,
        }
    }
    said
}

impl DtBalance {
    fn add(&mut self, role: MeterRole, said: Said) {
        self.meters_expected += 1;
        self.meters_reported += u64::from(said.present);
        match role {
            MeterRole::Dt => {
                self.dt_import_wh = said.present.then_some(said.import_wh);
                self.dt_export_wh = said.present.then_some(said.export_wh);
            }
            MeterRole::Consumer => {
                self.consumer_import_wh += said.import_wh;
                self.consumer_export_wh += said.export_wh;
            }
            MeterRole::Generation => self.consumer_export_wh += said.export_wh,
            MeterRole::Feeder | MeterRole::Boundary => {}
        }
    }

    fn close(&mut self) {
        self.injected_wh = self.dt_import_wh.map(|wh| wh + self.consumer_export_wh);
        self.delivered_wh = self
            .dt_export_wh
            .map(|wh| wh + self.consumer_import_wh + self.unmetered_wh);
        self.loss_wh = self
            .injected_wh
            .zip(self.delivered_wh)
            .map(|(injected, delivered)| injected - delivered);
    }
}

impl FeederBalance {
    fn add(&mut self, role: MeterRole, said: Said) {
        // Boundary meters are added apart: they take part in two balances.
        if role == MeterRole::Boundary {
            return;
        }
        self.meters_expected += 1;
        self.meters_reported += u64::from(said.present);
        match role {
            MeterRole::Feeder => {
                self.feeder_import_wh = said.present.then_some(said.import_wh);
                self.feeder_export_wh = said.present.then_some(said.export_wh);
            }
            MeterRole::Consumer => {
                self.ht_import_wh += said.import_wh;
                self.ht_export_wh += said.export_wh;
            }
            MeterRole::Generation => self.ht_export_wh += said.export_wh,
            MeterRole::Dt | MeterRole::Boundary => {}
        }
    }

    fn add_boundary(&mut self, said: Said, owned: bool) {
        self.meters_expected += 1;
        self.meters_reported += u64::from(said.present);
        let (inward, outward) = if owned {
            (said.import_wh, said.export_wh)
        } else {
            (said.export_wh, said.import_wh)
        };
        self.boundary_in_wh = said.present.then_some(inward);
        self.boundary_out_wh = said.present.then_some(outward);
    }

    fn add_dt(&mut self, dt: &DtBalance) {
        self.dt_input_wh += dt.dt_import_wh.unwrap_or_default() - dt.dt_export_wh.unwrap_or_default();
        self.dt_metered += u64::from(dt.dt_import_wh.is_some());
        self.consumer_import_wh += dt.consumer_import_wh;
        self.consumer_export_wh += dt.consumer_export_wh;
        self.unmetered_wh += dt.unmetered_wh;
        self.lt_loss_wh += dt.loss_wh.unwrap_or_default();
        self.meters_expected += dt.meters_expected;
        self.meters_reported += dt.meters_reported;
    }

    fn close(&mut self) {
        self.consumer_import_wh += self.ht_import_wh;
        self.consumer_export_wh += self.ht_export_wh;
        let at_substation = self
            .feeder_import_wh
            .zip(self.feeder_export_wh)
            .map(|(import, export)| import - export);
        let at_boundary = self
            .boundary_in_wh
            .zip(self.boundary_out_wh)
            .map(|(inward, outward)| inward - outward);
        self.input_wh = at_substation
            .zip(at_boundary)
            .map(|(own, boundary)| own + boundary);
        self.total_loss_wh = self
            .input_wh
            .map(|input| input + self.consumer_export_wh - self.consumer_import_wh - self.unmetered_wh);
    }
}

impl DtFlow {
    fn plus(self, other: &Self) -> Self {
        Self {
            import_wh: self.import_wh + other.import_wh,
            export_wh: self.export_wh + other.export_wh,
            consumer_import_wh: self.consumer_import_wh + other.consumer_import_wh,
            consumer_export_wh: self.consumer_export_wh + other.consumer_export_wh,
            unmetered_wh: self.unmetered_wh + other.unmetered_wh,
            stolen_wh: self.stolen_wh + other.stolen_wh,
            technical_wh: self.technical_wh + other.technical_wh,
        }
    }
}

#[cfg(test)]
mod tests;
