//! The columns of each file (CONTRACT section 2), and how a header is matched to them.

use super::{FileError, FileKind};

/// A column of a file.
#[derive(Debug)]
pub(crate) struct Column {
    /// Place in its file's list.
    pub(crate) at: usize,
    /// Name in the header.
    pub(crate) name: &'static str,
    /// Whether a file without it is refused.
    pub(crate) required: bool,
}

macro_rules! columns {
    ($(#[$doc:meta])* $module:ident: $($at:literal $name:ident = $word:literal $need:ident),+ $(,)?) => {
        $(#[$doc])*
        pub(crate) mod $module {
            use super::Column;
            $(pub(crate) static $name: Column = Column { at: $at, name: $word, required: columns!($need) };)+
            /// All of them, each at its place.
            pub(crate) static ALL: &[&Column] = &[$(&$name),+];
        }
    };
    (required) => { true };
    (optional) => { false };
}

columns!(
    /// `nodes`: what a row says of a node from `valid_from` on.
    nodes:
    0 NODE_ID = "node_id" required,
    1 KIND = "kind" required,
    2 PARENT_ID = "parent_id" optional,
    3 NAME = "name" optional,
    4 AREA_CLASS = "area_class" optional,
    5 LAT = "lat" optional,
    6 LON = "lon" optional,
    7 CAPACITY_KVA = "capacity_kva" optional,
    8 ALLOWABLE_LOSS_PCT = "allowable_loss_pct" optional,
    9 TECHNICAL_LOSS_PCT = "technical_loss_pct" optional,
    10 VALID_FROM = "valid_from" required,
    11 VALID_TO = "valid_to" optional,
);
columns!(
    /// `meters`.
    meters:
    0 METER_ID = "meter_id" required,
    1 ROLE = "role" required,
    2 NODE_ID = "node_id" optional,
    3 BOUNDARY_TO = "boundary_to" optional,
    4 INTERVAL_MINUTES = "interval_minutes" required,
    5 MULTIPLIER = "multiplier" optional,
    6 VALID_FROM = "valid_from" required,
    7 VALID_TO = "valid_to" optional,
);
columns!(
    /// `connections`.
    connections:
    0 CONSUMER_ID = "consumer_id" required,
    1 METER_ID = "meter_id" optional,
    2 NODE_ID = "node_id" required,
    3 CATEGORY = "category" required,
    4 SUPPLY = "supply" required,
    5 PHASES = "phases" required,
    6 SANCTIONED_LOAD_KW = "sanctioned_load_kw" optional,
    7 METERING = "metering" required,
    8 PROSUMER = "prosumer" optional,
    9 ASSESSED_KWH_MONTH = "assessed_kwh_month" optional,
    10 VALID_FROM = "valid_from" required,
    11 VALID_TO = "valid_to" optional,
);
columns!(
    /// `planned_outages`.
    planned_outages:
    0 NODE_ID = "node_id" required,
    1 START = "start" required,
    2 END = "end" required,
    3 CLASS = "class" required,
    4 REASON = "reason" optional,
    5 NOTICE_AT = "notice_at" optional,
);
columns!(
    /// `supply_hours`.
    supply_hours:
    0 NODE_ID = "node_id" optional,
    1 CATEGORY = "category" optional,
    2 WEEKDAYS = "weekdays" required,
    3 FROM = "from" required,
    4 TO = "to" required,
    5 VALID_FROM = "valid_from" optional,
    6 VALID_TO = "valid_to" optional,
);
columns!(
    /// `billing`.
    billing:
    0 CONSUMER_ID = "consumer_id" required,
    1 MONTH = "month" required,
    2 BILLED_KWH = "billed_kwh" required,
    3 BILLED_INR = "billed_inr" required,
    4 FIXED_INR = "fixed_inr" optional,
    5 ARREARS_INR = "arrears_inr" optional,
    6 SUBSIDY_INR = "subsidy_inr" optional,
    7 COLLECTED_INR = "collected_inr" optional,
);
columns!(
    /// `discom_accounts`.
    discom_accounts:
    0 YEAR = "year" required,
    1 SALES_KWH = "sales_kwh" required,
    2 POWER_PURCHASE_INR = "power_purchase_inr" required,
    3 OM_INR = "om_inr" required,
    4 DEPRECIATION_INR = "depreciation_inr" required,
    5 INTEREST_INR = "interest_inr" required,
    6 REVENUE_INR = "revenue_inr" required,
    7 SUBSIDY_INR = "subsidy_inr" optional,
);
columns!(
    /// `feeder_managers`.
    feeder_managers:
    0 FEEDER_ID = "feeder_id" required,
    1 MANAGER = "manager" required,
    2 CONTACT = "contact" optional,
    3 VALID_FROM = "valid_from" required,
    4 VALID_TO = "valid_to" optional,
);
columns!(
    /// `service_requests`.
    service_requests:
    0 REQUEST_ID = "request_id" required,
    1 CONSUMER_ID = "consumer_id" required,
    2 KIND = "kind" required,
    3 OPENED_AT = "opened_at" required,
    4 CLOSED_AT = "closed_at" optional,
);
columns!(
    /// `claims`.
    claims:
    0 CLAIM_ID = "claim_id" required,
    1 CONSUMER_ID = "consumer_id" required,
    2 ABOUT = "about" required,
    3 FILED_AT = "filed_at" required,
    4 UPHELD_AT = "upheld_at" optional,
);
columns!(
    /// `reads`.
    reads:
    0 METER_ID = "meter_id" required,
    1 INTERVAL_END = "interval_end" required,
    2 IMPORT_WH = "import_wh" required,
    3 EXPORT_WH = "export_wh" optional,
    4 IMPORT_VAH = "import_vah" optional,
    5 VOLTAGE_V = "voltage_v" optional,
    6 CURRENT_A = "current_a" optional,
    7 CAPTURED_AT = "captured_at" optional,
    8 REVISION = "revision" optional,
);
columns!(
    /// `registers`.
    registers:
    0 METER_ID = "meter_id" required,
    1 AT = "at" required,
    2 IMPORT_WH = "import_wh" optional,
    3 EXPORT_WH = "export_wh" optional,
);
columns!(
    /// `events`.
    events:
    0 METER_ID = "meter_id" required,
    1 AT = "at" required,
    2 CODE = "code" required,
    3 SEQUENCE = "sequence" optional,
);

/// The columns of a kind of file.
pub(crate) fn columns_of(kind: FileKind) -> &'static [&'static Column] {
    match kind {
        FileKind::Nodes => nodes::ALL,
        FileKind::Meters => meters::ALL,
        FileKind::Connections => connections::ALL,
        FileKind::PlannedOutages => planned_outages::ALL,
        FileKind::SupplyHours => supply_hours::ALL,
        FileKind::Billing => billing::ALL,
        FileKind::DiscomAccounts => discom_accounts::ALL,
        FileKind::FeederManagers => feeder_managers::ALL,
        FileKind::ServiceRequests => service_requests::ALL,
        FileKind::Claims => claims::ALL,
        FileKind::Reads => reads::ALL,
        FileKind::Registers => registers::ALL,
        FileKind::Events => events::ALL,
    }
}

/// For each column of the kind, its place in the file; `None` when the file leaves it out.
///
/// # Errors
/// Names every unknown, repeated or missing column of the header at once.
pub(crate) fn match_header(
    kind: FileKind,
    file: &str,
    header: &[&str],
) -> Result<Vec<Option<usize>>, FileError> {
    let columns = columns_of(kind);
    let known = |name: &str| columns.iter().any(|column| column.name == name);
    let listed = |names: Vec<&str>| {
        names
            .iter()
            .map(|name| super::cell::shown(name))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let unknown: Vec<&str> = header.iter().copied().filter(|name| !known(name)).collect();
    if !unknown.is_empty() {
        return Err(FileError::UnknownColumns {
            file: file.to_owned(),
            kind,
            unknown: listed(unknown),
            known: listed(columns.iter().map(|column| column.name).collect()),
        });
    }
    let places = |name: &str| header.iter().filter(|other| **other == name).count();
    let repeated: Vec<&str> = columns
        .iter()
        .map(|column| column.name)
        .filter(|name| places(name) > 1)
        .collect();
    if !repeated.is_empty() {
        return Err(FileError::RepeatedColumns {
            file: file.to_owned(),
            repeated: listed(repeated),
        });
    }
    let missing: Vec<&str> = columns
        .iter()
        .filter(|column| column.required && places(column.name) == 0)
        .map(|column| column.name)
        .collect();
    if !missing.is_empty() {
        return Err(FileError::MissingColumns {
            file: file.to_owned(),
            kind,
            missing: listed(missing),
        });
    }
    Ok(columns
        .iter()
        .map(|column| header.iter().position(|name| *name == column.name))
        .collect())
}
