//! From the cells of a row to what it says; every check that needs one row only.

use gridtally_schemas::{
    ConsumerId, Day, IntervalMinutes, IntervalRead, MeterId, Multiplier, NodeId, PowerEvent, RegisterRead,
    UtcMicros,
    accountability::{AccountabilityError, FeederManagerRow},
    billing::{BillingRow, DiscomAccountsRow},
    compensation::{ClaimRow, ServiceRequestRow, WORD_TEXT_BYTES_MAX},
    network::{ConnectionRow, MeterRole, MeterRow, Metering, NodeKind, NodeRow, Prosumer},
    outage::{PlannedOutageRow, SupplyHoursRow},
    time::EARLIEST,
};

use super::{
    cell::{Cell, Reason},
    column::{
        Column, billing, claims, connections, discom_accounts, events, feeder_managers, meters, nodes,
        planned_outages, reads, registers, service_requests, supply_hours,
    },
};

/// Largest assessed consumption of one connection, kWh a month (house choice: 10 MW for a month).
const ASSESSED_KWH_MONTH_MAX: f64 = 7_440_000.0;
/// Largest sanctioned load and capacity, kW or kVA (house choice: 10 GW).
const POWER_KW_MAX: f64 = 10_000_000.0;

/// Why a row is refused: the column, what stands there, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) column: &'static str,
    pub(crate) value: String,
    pub(crate) reason: Reason,
}

/// The current row of a file. Columns are the kind's own; the file's order is settled below it.
pub(crate) trait Row {
    /// The cell of a column.
    fn cell(&self, column: &Column) -> Cell<'_>;

    /// A value that may be missing.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every cell but the missing one is read alike"
    )]
    fn optional<'a, T>(
        &'a self,
        column: &Column,
        read: impl FnOnce(Cell<'a>) -> Result<T, Reason>,
    ) -> Result<Option<T>, Fault> {
        match self.cell(column) {
            Cell::Null => Ok(None),
            cell => read(cell).map(Some).map_err(|reason| Fault {
                column: column.name,
                value: cell.to_string(),
                reason,
            }),
        }
    }

    /// A value that must be there.
    fn required<'a, T>(
        &'a self,
        column: &Column,
        read: impl FnOnce(Cell<'a>) -> Result<T, Reason>,
    ) -> Result<T, Fault> {
        self.optional(column, read)?
            .ok_or_else(|| missing(column, "a value is required"))
    }

    /// A fault of a value that can be read and still cannot stand.
    fn fault(&self, column: &Column, reason: impl Into<Reason>) -> Fault {
        Fault {
            column: column.name,
            value: self.cell(column).to_string(),
            reason: reason.into(),
        }
    }
}

fn missing(column: &Column, reason: impl Into<Reason>) -> Fault {
    Fault {
        column: column.name,
        value: String::new(),
        reason: reason.into(),
    }
}

/// `valid_from` and `valid_to`, the latter after the former.
fn validity(row: &impl Row, from: &Column, to: &Column) -> Result<(UtcMicros, Option<UtcMicros>), Fault> {
    let valid_from = row.required(from, Cell::time)?;
    let valid_to = row.optional(to, Cell::time)?;
    if valid_to.is_some_and(|valid_to| valid_to <= valid_from) {
        return Err(row.fault(to, "valid_to must be after valid_from"));
    }
    Ok((valid_from, valid_to))
}

/// A row of `nodes`. A missing name is the node's id.
pub(crate) fn node(row: &impl Row) -> Result<NodeRow, Fault> {
    let node_id = row.required(&nodes::NODE_ID, |cell| cell.id(NodeId::parse))?;
    let kind: NodeKind = row.required(&nodes::KIND, Cell::word)?;
    let parent_id = row.optional(&nodes::PARENT_ID, |cell| cell.id(NodeId::parse))?;
    match (&parent_id, kind) {
        (Some(_), NodeKind::Discom) => {
            return Err(row.fault(&nodes::PARENT_ID, "a discom has no parent"));
        }
        (None, kind) if kind != NodeKind::Discom => {
            return Err(missing(
                &nodes::PARENT_ID,
                format!("a {kind} needs the node above it"),
            ));
        }
        (Some(parent), _) if *parent == node_id => {
            return Err(row.fault(&nodes::PARENT_ID, "a node cannot be its own parent"));
        }
        (Some(_) | None, _) => {}
    }
    let per_cent = |column| row.optional(column, |cell| cell.number_within(0.0, 100.0));
    let (valid_from, valid_to) = validity(row, &nodes::VALID_FROM, &nodes::VALID_TO)?;
    Ok(NodeRow {
        name: row
            .optional(&nodes::NAME, Cell::text)?
            .map_or_else(|| node_id.to_string(), Into::into),
        area_class: row.optional(&nodes::AREA_CLASS, Cell::word)?,
        lat: row.optional(&nodes::LAT, |cell| cell.number_within(-90.0, 90.0))?,
        lon: row.optional(&nodes::LON, |cell| cell.number_within(-180.0, 180.0))?,
        capacity_kva: row.optional(&nodes::CAPACITY_KVA, |cell| cell.number_within(0.0, POWER_KW_MAX))?,
        allowable_loss_pct: per_cent(&nodes::ALLOWABLE_LOSS_PCT)?,
        technical_loss_pct: per_cent(&nodes::TECHNICAL_LOSS_PCT)?,
        node_id,
        kind,
        parent_id,
        valid_from,
        valid_to,
    })
}

fn interval_minutes(cell: Cell<'_>) -> Result<IntervalMinutes, Reason> {
    let minutes: Option<u8> = cell.small_integer().ok();
    minutes
        .and_then(|minutes| IntervalMinutes::try_from(minutes).ok())
        .ok_or_else(|| "15 or 30 expected".into())
}

fn multiplier(cell: Cell<'_>) -> Result<Multiplier, Reason> {
    cell.number()
        .ok()
        .and_then(|factor| Multiplier::try_from(factor).ok())
        .ok_or_else(|| "a number from 0.001 to 100000 with at most three decimals expected".into())
}

/// A row of `meters`. A missing multiplier is 1 for consumer and generation meters, which count network energy unless said
/// otherwise; meters of the network stand behind transformers, so theirs must be said.
pub(crate) fn meter(row: &impl Row) -> Result<MeterRow, Fault> {
    let meter_id = row.required(&meters::METER_ID, |cell| cell.id(MeterId::parse))?;
    let role: MeterRole = row.required(&meters::ROLE, Cell::word)?;
    let node_id = row.optional(&meters::NODE_ID, |cell| cell.id(NodeId::parse))?;
    let boundary_to = row.optional(&meters::BOUNDARY_TO, |cell| cell.id(NodeId::parse))?;
    let multiplier = row.optional(&meters::MULTIPLIER, multiplier)?;
    match role {
        MeterRole::Consumer | MeterRole::Generation => {}
        MeterRole::Dt | MeterRole::Feeder | MeterRole::Boundary => {
            if node_id.is_none() {
                return Err(missing(
                    &meters::NODE_ID,
                    format!("a {role} meter needs its node"),
                ));
            }
            if multiplier.is_none() {
                let reason = format!("a {role} meter needs its multiplier (CT ratio x PT ratio)");
                return Err(missing(&meters::MULTIPLIER, reason));
            }
        }
    }
    match (&boundary_to, role == MeterRole::Boundary) {
        (None, true) => {
            return Err(missing(
                &meters::BOUNDARY_TO,
                "a boundary meter needs the feeder on its other side",
            ));
        }
        (Some(_), false) => {
            return Err(row.fault(&meters::BOUNDARY_TO, "only a boundary meter has another side"));
        }
        (Some(other), true) if Some(other) == node_id.as_ref() => {
            return Err(row.fault(&meters::BOUNDARY_TO, "the other side must be another feeder"));
        }
        (Some(_), true) | (None, false) => {}
    }
    let (valid_from, valid_to) = validity(row, &meters::VALID_FROM, &meters::VALID_TO)?;
    Ok(MeterRow {
        meter_id,
        role,
        node_id,
        boundary_to,
        interval_minutes: row.required(&meters::INTERVAL_MINUTES, interval_minutes)?,
        multiplier: multiplier.unwrap_or(Multiplier::ONE),
        valid_from,
        valid_to,
    })
}

fn phases(cell: Cell<'_>) -> Result<u8, Reason> {
    match cell.small_integer() {
        Ok(phases @ (1 | 3)) => Ok(phases),
        Ok(_) | Err(_) => Err("1 or 3 expected".into()),
    }
}

fn assessed_kwh_month(cell: Cell<'_>) -> Result<f64, Reason> {
    let kwh = cell.number_within(0.0, ASSESSED_KWH_MONTH_MAX)?;
    let wh = kwh * 1_000.0;
    // Within 7.44e9 Wh an f64 resolves 1e-6 Wh, so a fourth decimal (0.1 Wh) stands out clearly.
    if (wh - wh.round()).abs() > 1e-3 {
        return Err("a number with at most three decimals expected".into());
    }
    Ok(kwh)
}

/// A row of `connections`. An empty `meter_id` and the word `unmetered` go together.
pub(crate) fn connection(row: &impl Row) -> Result<ConnectionRow, Fault> {
    let consumer_id = row.required(&connections::CONSUMER_ID, |cell| cell.id(ConsumerId::parse))?;
    let meter_id = row.optional(&connections::METER_ID, |cell| cell.id(MeterId::parse))?;
    let metering: Metering = row.required(&connections::METERING, Cell::word)?;
    match (&meter_id, metering) {
        (Some(_), Metering::Unmetered) => {
            return Err(row.fault(&connections::METER_ID, "an unmetered connection has no meter"));
        }
        (None, Metering::Prepaid | Metering::Postpaid) => {
            let reason = format!("a {metering} connection needs its meter (or metering `unmetered`)");
            return Err(missing(&connections::METER_ID, reason));
        }
        (Some(_), Metering::Prepaid | Metering::Postpaid) | (None, Metering::Unmetered) => {}
    }
    let (valid_from, valid_to) = validity(row, &connections::VALID_FROM, &connections::VALID_TO)?;
    Ok(ConnectionRow {
        consumer_id,
        meter_id,
        node_id: row.required(&connections::NODE_ID, |cell| cell.id(NodeId::parse))?,
        category: row.required(&connections::CATEGORY, Cell::text)?.into(),
        supply: row.required(&connections::SUPPLY, Cell::word)?,
        phases: row.required(&connections::PHASES, phases)?,
        sanctioned_load_kw: row.optional(&connections::SANCTIONED_LOAD_KW, |cell| {
            cell.number_within(0.0, POWER_KW_MAX)
        })?,
        metering,
        prosumer: row
            .optional(&connections::PROSUMER, Cell::word)?
            .unwrap_or(Prosumer::None),
        assessed_kwh_month: row.optional(&connections::ASSESSED_KWH_MONTH, assessed_kwh_month)?,
        valid_from,
        valid_to,
    })
}

/// A row of `planned_outages`.
pub(crate) fn planned_outage(row: &impl Row) -> Result<PlannedOutageRow, Fault> {
    let start = row.required(&planned_outages::START, Cell::time)?;
    let end = row.required(&planned_outages::END, Cell::time)?;
    if end <= start {
        return Err(row.fault(&planned_outages::END, "end must be after start"));
    }
    Ok(PlannedOutageRow {
        node_id: row.required(&planned_outages::NODE_ID, |cell| cell.id(NodeId::parse))?,
        start,
        end,
        class: row.required(&planned_outages::CLASS, Cell::word)?,
        reason: row
            .optional(&planned_outages::REASON, Cell::text)?
            .map(Into::into),
        notice_at: row.optional(&planned_outages::NOTICE_AT, Cell::time)?,
    })
}

/// A row of `supply_hours`. Without `valid_from` it always held.
pub(crate) fn supply_hours(row: &impl Row) -> Result<SupplyHoursRow, Fault> {
    let node_id = row.optional(&supply_hours::NODE_ID, |cell| cell.id(NodeId::parse))?;
    let category: Option<String> = row.optional(&supply_hours::CATEGORY, Cell::text)?.map(Into::into);
    if node_id.is_none() && category.is_none() {
        return Err(missing(
            &supply_hours::NODE_ID,
            "a node or a category is required",
        ));
    }
    let from = row.required(&supply_hours::FROM, Cell::word)?;
    let to = row.required(&supply_hours::TO, Cell::word)?;
    let valid_from = row
        .optional(&supply_hours::VALID_FROM, Cell::time)?
        .unwrap_or(EARLIEST);
    let valid_to = row.optional(&supply_hours::VALID_TO, Cell::time)?;
    if valid_to.is_some_and(|valid_to| valid_to <= valid_from) {
        return Err(row.fault(&supply_hours::VALID_TO, "valid_to must be after valid_from"));
    }
    Ok(SupplyHoursRow {
        node_id,
        category,
        weekdays: row.required(&supply_hours::WEEKDAYS, Cell::word)?,
        from,
        to,
        valid_from,
        valid_to,
    })
}

/// Largest energy of a bill, kWh, and largest amount, INR (house choice: 10 TWh, 10,000 crore INR).
const BILLED_KWH_MAX: f64 = 10_000_000_000.0;
const AMOUNT_INR_MAX: f64 = 100_000_000_000.0;

/// A number as a whole number of its `parts`: a bill's kWh in Wh, its rupees in paise.
fn in_parts(cell: Cell<'_>, (least, most): (f64, f64), parts: f64, decimals: &str) -> Result<i64, Reason> {
    let whole = cell.number_within(least, most)? * parts;
    // Within the bounds of a bill an f64 resolves a hundredth of a part; within those of a discom's year the nearest is exact.
    if (whole - whole.round()).abs() > 0.01 {
        return Err(format!("a number with at most {decimals} decimals expected"));
    }
    #[expect(
        clippy::as_conversions,
        reason = "rounded and within 10^15, so the cast is exact"
    )]
    let parts = whole.round() as i64;
    Ok(parts)
}

/// Largest energy, kWh, and largest amount, INR, of a discom's year (house choice: 1,000 TWh, ten lakh crore INR; both far above any).
const SALES_KWH_MAX: f64 = 1_000_000_000_000.0;
const ACCOUNT_INR_MAX: f64 = 10_000_000_000_000.0;

/// A row of `discom_accounts`.
pub(crate) fn accounts(row: &impl Row) -> Result<DiscomAccountsRow, Fault> {
    use discom_accounts::{
        DEPRECIATION_INR, INTEREST_INR, OM_INR, POWER_PURCHASE_INR, REVENUE_INR, SALES_KWH, SUBSIDY_INR, YEAR,
    };
    let amount = |cell: Cell<'_>| in_parts(cell, (-ACCOUNT_INR_MAX, ACCOUNT_INR_MAX), 100.0, "two");
    Ok(DiscomAccountsRow {
        year: row.required(&YEAR, Cell::word)?,
        sales_wh: row.required(&SALES_KWH, |cell| {
            in_parts(cell, (0.0, SALES_KWH_MAX), 1_000.0, "three")
        })?,
        power_purchase_paise: row.required(&POWER_PURCHASE_INR, amount)?,
        om_paise: row.required(&OM_INR, amount)?,
        depreciation_paise: row.required(&DEPRECIATION_INR, amount)?,
        interest_paise: row.required(&INTEREST_INR, amount)?,
        revenue_paise: row.required(&REVENUE_INR, amount)?,
        subsidy_paise: row.optional(&SUBSIDY_INR, amount)?,
    })
}

/// A row of `feeder_managers`.
pub(crate) fn manager(row: &impl Row) -> Result<FeederManagerRow, Fault> {
    use feeder_managers::{CONTACT, FEEDER_ID, MANAGER, VALID_FROM, VALID_TO};
    let valid_from = row.required(&VALID_FROM, Cell::time)?;
    let valid_to = row.optional(&VALID_TO, Cell::time)?;
    if valid_to.is_some_and(|valid_to| valid_to <= valid_from) {
        return Err(row.fault(&VALID_TO, "valid_to must be after valid_from"));
    }
    let manager = FeederManagerRow {
        feeder_id: row.required(&FEEDER_ID, |cell| cell.id(NodeId::parse))?,
        manager: row.required(&MANAGER, Cell::text)?.into(),
        contact: row.optional(&CONTACT, Cell::text)?.map(Into::into),
        valid_from,
        valid_to,
    };
    let is_manager = |error: &AccountabilityError| matches!(error, AccountabilityError::Text { field } if *field == MANAGER.name);
    manager.check().map_err(|error| {
        let column = if is_manager(&error) { &MANAGER } else { &CONTACT };
        row.fault(column, error.to_string())
    })?;
    Ok(manager)
}

fn amount(cell: Cell<'_>) -> Result<i64, Reason> {
    in_parts(cell, (-AMOUNT_INR_MAX, AMOUNT_INR_MAX), 100.0, "two")
}

fn month(cell: Cell<'_>) -> Result<Day, Reason> {
    let text = cell.text()?;
    let first = Day::parse(&format!("{text}-01")).filter(|_| text.len() == "2026-04".len());
    first.ok_or_else(|| "a month such as 2026-04 expected".into())
}

/// A row of `billing`.
pub(crate) fn bill(row: &impl Row) -> Result<BillingRow, Fault> {
    Ok(BillingRow {
        consumer_id: row.required(&billing::CONSUMER_ID, |cell| cell.id(ConsumerId::parse))?,
        month: row.required(&billing::MONTH, month)?,
        billed_wh: row.required(&billing::BILLED_KWH, |cell| {
            in_parts(cell, (-BILLED_KWH_MAX, BILLED_KWH_MAX), 1_000.0, "three")
        })?,
        billed_paise: row.required(&billing::BILLED_INR, amount)?,
        fixed_paise: row.optional(&billing::FIXED_INR, amount)?,
        arrears_paise: row.optional(&billing::ARREARS_INR, amount)?,
        subsidy_paise: row.optional(&billing::SUBSIDY_INR, amount)?,
        collected_paise: row.optional(&billing::COLLECTED_INR, amount)?,
    })
}

/// An id that others give: text of bounded length.
fn given_id(row: &impl Row, column: &Column) -> Result<String, Fault> {
    let id: String = row.required(column, Cell::text)?.into();
    if id.len() > WORD_TEXT_BYTES_MAX || id.chars().any(char::is_control) {
        let reason = format!("1 to {WORD_TEXT_BYTES_MAX} bytes without control characters expected");
        return Err(row.fault(column, reason));
    }
    Ok(id)
}

/// When something began and, perhaps, ended: in this order.
fn begin_and_end(
    row: &impl Row,
    from: &Column,
    to: &Column,
) -> Result<(UtcMicros, Option<UtcMicros>), Fault> {
    let began_at = row.required(from, Cell::time)?;
    let ended_at = row.optional(to, Cell::time)?;
    if ended_at.is_some_and(|ended_at| ended_at < began_at) {
        return Err(row.fault(to, format!("{} must not be before {}", to.name, from.name)));
    }
    Ok((began_at, ended_at))
}

/// A row of `service_requests`.
pub(crate) fn service_request(row: &impl Row) -> Result<ServiceRequestRow, Fault> {
    use service_requests::{CLOSED_AT, CONSUMER_ID, KIND, OPENED_AT, REQUEST_ID};
    let (opened_at, closed_at) = begin_and_end(row, &OPENED_AT, &CLOSED_AT)?;
    Ok(ServiceRequestRow {
        request_id: given_id(row, &REQUEST_ID)?,
        consumer_id: row.required(&CONSUMER_ID, |cell| cell.id(ConsumerId::parse))?,
        kind: row.required(&KIND, Cell::word)?,
        opened_at,
        closed_at,
    })
}

/// A row of `claims`.
pub(crate) fn claim(row: &impl Row) -> Result<ClaimRow, Fault> {
    use claims::{ABOUT, CLAIM_ID, CONSUMER_ID, FILED_AT, UPHELD_AT};
    let (filed_at, upheld_at) = begin_and_end(row, &FILED_AT, &UPHELD_AT)?;
    Ok(ClaimRow {
        claim_id: given_id(row, &CLAIM_ID)?,
        consumer_id: row.required(&CONSUMER_ID, |cell| cell.id(ConsumerId::parse))?,
        about: row.required(&ABOUT, Cell::word)?,
        filed_at,
        upheld_at,
    })
}

/// A row of `reads`. A null `import_wh` is a read that the source reports as missing. Values are not judged here: a negative
/// or absurd energy is kept and quarantined later, as one that came by MQTT.
pub(crate) fn read(row: &impl Row) -> Result<IntervalRead, Fault> {
    Ok(IntervalRead {
        interval_end: row.required(&reads::INTERVAL_END, Cell::time)?,
        import_wh: row.optional(&reads::IMPORT_WH, Cell::integer)?,
        export_wh: row.optional(&reads::EXPORT_WH, Cell::integer)?,
        import_vah: row.optional(&reads::IMPORT_VAH, Cell::integer)?,
        voltage_v: row.optional(&reads::VOLTAGE_V, Cell::single)?,
        current_a: row.optional(&reads::CURRENT_A, Cell::single)?,
        captured_at: row.optional(&reads::CAPTURED_AT, Cell::time)?,
        revision: row
            .optional(&reads::REVISION, Cell::small_integer)?
            .unwrap_or_default(),
    })
}

/// A row of `registers`: at least one register.
pub(crate) fn register(row: &impl Row) -> Result<RegisterRead, Fault> {
    let register = RegisterRead {
        at: row.required(&registers::AT, Cell::time)?,
        import_wh: row.optional(&registers::IMPORT_WH, Cell::integer)?,
        export_wh: row.optional(&registers::EXPORT_WH, Cell::integer)?,
    };
    if register.import_wh.is_none() && register.export_wh.is_none() {
        return Err(missing(
            &registers::IMPORT_WH,
            "neither import_wh nor export_wh has a value",
        ));
    }
    Ok(register)
}

/// A row of `events`.
pub(crate) fn event(row: &impl Row) -> Result<PowerEvent, Fault> {
    Ok(PowerEvent {
        at: row.required(&events::AT, Cell::time)?,
        code: row.required(&events::CODE, Cell::small_integer)?,
        sequence: row.optional(&events::SEQUENCE, Cell::integer)?,
    })
}
