//! Reports that a discom signs: the monthly report to the management, the quarterly return on the Standards of Performance, quarterly
//! energy accounting in the manner of BEE, and the monthly report on arrival of reads.
//!
//! Promises: each table of a report comes from one query over the published tables; the query stands in the report, with its parameters
//! written in, and runs as it stands. A report is as of an instant: what stood published then, and nothing that depends on when it is
//! made, so that the same report as of the same instant is the same bytes, whatever was restated since. Without an instant it is as of
//! the last checkpoint. What rests on less than the coverage threshold is withheld, and says so. Nothing is computed here: the numbers, and
//! their rounding, are those of the queries (`reports/sql`); HTML and CSV show the same.
//!
//! Bounds: a table has at most as many rows as a result of SQL (`sql.rows_max`), and says when it was cut; each query has the limits of SQL.

use gridtally_schemas::{Day, NodeId, UtcMicros, Zone};

use crate::sql::{Rows, Sql, SqlError, plain};

pub use page::{STYLESHEET, standalone};
pub use period::{Every, Period};

use query::{Parameters, Query, Template};
use section::{Months, Section};

mod amisp;
mod bee;
mod csv;
mod mis;
mod number;
mod page;
mod period;
mod query;
mod section;
mod sop;

/// A kind of report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Monthly report to the management.
    MisMonthly,
    /// Quarterly return on the Standards of Performance.
    SopQuarterly,
    /// Quarterly energy accounting in the manner of BEE.
    BeeQuarterly,
    /// Monthly arrival of reads against the service provider's levels.
    AmispMonthly,
}

impl Report {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::MisMonthly,
        Self::SopQuarterly,
        Self::BeeQuarterly,
        Self::AmispMonthly,
    ];

    /// The report of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|report| report.name() == name)
    }

    /// Its name in addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MisMonthly => "mis-monthly",
            Self::SopQuarterly => "sop-quarterly",
            Self::BeeQuarterly => "bee-quarterly",
            Self::AmispMonthly => "amisp-monthly",
        }
    }

    /// How long its period is.
    #[must_use]
    pub const fn every(self) -> Every {
        match self {
            Self::MisMonthly | Self::AmispMonthly => Every::Month,
            Self::SopQuarterly | Self::BeeQuarterly => Every::Quarter,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::MisMonthly => "Monthly management report",
            Self::SopQuarterly => "Quarterly return on Standards of Performance",
            Self::BeeQuarterly => "Quarterly energy accounting",
            Self::AmispMonthly => "Monthly report on arrival of reads",
        }
    }

    const fn sections(self) -> &'static [Section] {
        match self {
            Self::MisMonthly => mis::SECTIONS,
            Self::SopQuarterly => sop::SECTIONS,
            Self::BeeQuarterly => bee::SECTIONS,
            Self::AmispMonthly => amisp::SECTIONS,
        }
    }
}

/// What a report is made from.
#[derive(Debug)]
pub struct Sources {
    /// The published tables.
    pub sql: Sql,
    /// The zone of civil days and of times shown.
    pub zone: Zone,
    /// Now, by the configured clock: a report is as of nothing later.
    pub now: UtcMicros,
    /// Below this coverage figures are withheld, per cent.
    pub coverage_pct: f64,
}

/// Which report of what.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The report.
    pub report: Report,
    /// Its period.
    pub period: Period,
    /// The node; `None`: the whole discom.
    pub node: Option<NodeId>,
    /// As of when; `None`: the last checkpoint.
    pub as_of: Option<UtcMicros>,
    /// Only this section of it.
    pub section: Option<String>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// As of an instant that has not come: more may be published until then. The caller's fault.
    #[error("{as_of} is later than now ({now}): what will stand published then is not known")]
    NotYet {
        /// As of when.
        as_of: String,
        /// Now.
        now: String,
    },
    /// Nothing was published by then. The caller's fault, or a matter of time.
    #[error("nothing was published by {as_of}")]
    NotPublished {
        /// As of when.
        as_of: String,
    },
    /// The period begins after the instant. The caller's fault.
    #[error("{period} begins only on {first}, after {as_of}")]
    NotBegun {
        /// The period.
        period: String,
        /// Its first day.
        first: Day,
        /// As of when.
        as_of: String,
    },
    /// No such node then. The caller's fault.
    #[error("node `{node}` is not in the network at {then} as it was known at {as_of}")]
    UnknownNode {
        /// The node.
        node: String,
        /// By the picture of when.
        then: String,
        /// As it was known when.
        as_of: String,
    },
    /// There is no network.
    #[error("the network at {then} as it was known at {as_of} has no nodes")]
    NoNetwork {
        /// By the picture of when.
        then: String,
        /// As it was known when.
        as_of: String,
    },
    /// The node is a DT. The caller's fault.
    #[error("`{node}` is a DT: reports are of a feeder or a level above")]
    TooLow {
        /// The node.
        node: String,
    },
    /// Several nodes have none above. The caller has to choose.
    #[error("several nodes stand at the top ({nodes}): say which one")]
    SeveralTops {
        /// Their ids.
        nodes: String,
    },
    /// The report has no such section. The caller's fault.
    #[error("{report} has no section `{section}`; it has {known}")]
    UnknownSection {
        /// The report.
        report: &'static str,
        /// What was asked for.
        section: String,
        /// What there is.
        known: String,
    },
    /// A query has no result.
    #[error("section {section} has no result")]
    Sql {
        /// The section.
        section: &'static str,
        /// Why.
        #[source]
        source: SqlError,
    },
}

/// A node's id, kind and name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    id: String,
    kind: String,
    name: String,
}

/// A section with its rows.
#[derive(Debug)]
struct Filled {
    section: &'static Section,
    query: Query,
    rows: Rows,
}

/// A report, made.
#[derive(Debug)]
pub struct Made {
    report: Report,
    period: Period,
    zone: Zone,
    as_of: UtcMicros,
    position: String,
    published_at: String,
    /// Days of feeders that master data concern and that stood as they were before.
    feeder_days_owed: u64,
    coverage_pct: f64,
    /// Whether the period was over at the instant.
    is_over: bool,
    /// The node, and those above it.
    path: Vec<Place>,
    sections: Vec<Filled>,
}

/// Makes a report.
///
/// # Errors
/// [`ReportError`].
pub async fn make(sources: &Sources, asked: &Asked) -> Result<Made, ReportError> {
    let wanted = wanted(asked)?;
    let checkpoint = checkpoint(sources, asked.as_of).await?;
    let as_of = checkpoint.as_of;
    let zone = &sources.zone;
    let first = asked.period.first_day();
    if zone.start_of(first) > as_of {
        return Err(ReportError::NotBegun {
            period: asked.period.title.clone(),
            first,
            as_of: as_of.to_rfc3339(zone),
        });
    }
    let ends = zone.start_of(asked.period.after());
    let then = ends.plus(-1).min(as_of);
    let mut parameters = Parameters::default();
    parameters.instant("as_of", as_of, zone);
    parameters.instant("then", then, zone);
    let path = subject(sources, asked, (&mut parameters, then, as_of)).await?;
    bind_period(&mut parameters, asked, sources);
    let mut sections = Vec::new();
    for section in wanted {
        let mut parameters = parameters.clone();
        bind_months(&mut parameters, section.months, (&asked.period, zone));
        section.bind(&mut parameters);
        let query = section.query.bound(&parameters);
        let rows = rows(sources, section.id, &query.text()).await?;
        sections.push(Filled { section, query, rows });
    }
    Ok(Made {
        report: asked.report,
        period: asked.period.clone(),
        zone: zone.clone(),
        as_of,
        position: checkpoint.position,
        published_at: checkpoint.published_at,
        feeder_days_owed: checkpoint.feeder_days_owed,
        coverage_pct: sources.coverage_pct,
        is_over: ends <= as_of,
        path,
        sections,
    })
}

/// The sections that were asked for, in order.
fn wanted(asked: &Asked) -> Result<Vec<&'static Section>, ReportError> {
    let all = asked.report.sections();
    let Some(id) = &asked.section else {
        return Ok(all.iter().collect());
    };
    let found = all.iter().find(|section| section.id == id);
    found.map(|section| vec![section]).ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|section| section.id).collect();
        ReportError::UnknownSection {
            report: asked.report.name(),
            section: crate::parameters::short(id),
            known: known.join(", "),
        }
    })
}

async fn rows(sources: &Sources, section: &'static str, query: &str) -> Result<Rows, ReportError> {
    let rows = sources.sql.rows(query).await;
    rows.map_err(|source| ReportError::Sql { section, source })
}

/// What a report rests on.
struct Checkpoint {
    as_of: UtcMicros,
    position: String,
    published_at: String,
    feeder_days_owed: u64,
}

/// The last checkpoint at or before an instant, or of all.
async fn checkpoint(sources: &Sources, as_of: Option<UtcMicros>) -> Result<Checkpoint, ReportError> {
    const PUBLISHED: Template = Template {
        parts: &[],
        text: include_str!("reports/sql/published.sql"),
    };
    let zone = &sources.zone;
    let asked = as_of.unwrap_or(sources.now);
    if asked > sources.now {
        return Err(ReportError::NotYet {
            as_of: asked.to_rfc3339(zone),
            now: sources.now.to_rfc3339(zone),
        });
    }
    let mut parameters = Parameters::default();
    parameters.instant("as_of", asked, zone);
    let found = rows(sources, "published", &PUBLISHED.bound(&parameters).text()).await?;
    let row = found.rows.first().ok_or_else(|| ReportError::NotPublished {
        as_of: asked.to_rfc3339(zone),
    })?;
    let published_at = plain(found.value(row, "published_at"));
    let at = UtcMicros::parse(&published_at).unwrap_or(asked);
    Ok(Checkpoint {
        as_of: as_of.unwrap_or(at),
        position: plain(found.value(row, "position")),
        published_at,
        feeder_days_owed: found.value(row, "feeder_days_owed").as_u64().unwrap_or(0),
    })
}

/// The node of the report and those above it; binds its id.
async fn subject(
    sources: &Sources,
    asked: &Asked,
    (parameters, then, as_of): (&mut Parameters, UtcMicros, UtcMicros),
) -> Result<Vec<Place>, ReportError> {
    const SUBJECT: Template = Template {
        parts: &[],
        text: include_str!("reports/sql/subject.sql"),
    };
    parameters.text("node", asked.node.as_ref().map(NodeId::as_str));
    let found = rows(sources, "subject", &SUBJECT.bound(parameters).text()).await?;
    let place = |row: &Vec<serde_json::Value>| Place {
        id: plain(found.value(row, "node_id")),
        kind: plain(found.value(row, "kind")),
        name: plain(found.value(row, "name")),
    };
    let path: Vec<Place> = found.rows.iter().map(place).collect();
    let (then, as_of) = (then.to_rfc3339(&sources.zone), as_of.to_rfc3339(&sources.zone));
    let Some(node) = path.first() else {
        return Err(match &asked.node {
            Some(node) => ReportError::UnknownNode {
                node: node.to_string(),
                then,
                as_of,
            },
            None => ReportError::NoNetwork { then, as_of },
        });
    };
    if asked.node.is_none() && path.len() > 1 {
        let nodes: Vec<&str> = path.iter().map(|place| place.id.as_str()).collect();
        return Err(ReportError::SeveralTops {
            nodes: nodes.join(", "),
        });
    }
    if node.kind == "dt" {
        return Err(ReportError::TooLow {
            node: node.id.clone(),
        });
    }
    parameters.text("node", Some(&node.id));
    Ok(path)
}

fn bind_period(parameters: &mut Parameters, asked: &Asked, sources: &Sources) {
    let (first, last) = (asked.period.first_day(), asked.period.last_month());
    let last_day = Day(asked.period.after().0 - 1);
    parameters.day("first_day", first);
    parameters.day("last_day", last_day);
    parameters.number("days", f64::from(last_day.0 - first.0 + 1));
    parameters.day("month", last);
    parameters.day("last_month", last);
    parameters.day("month_before", period::month_before(last));
    parameters.day("year_ago", period::year_before(last));
    parameters.number("coverage_pct", sources.coverage_pct);
    parameters.number("level_8h", amisp::LEVEL_8H_PCT);
    parameters.number("level_12h", amisp::LEVEL_12H_PCT);
}

fn bind_months(parameters: &mut Parameters, months: Months, (period, zone): (&Period, &Zone)) {
    let last = period.last_month();
    let months = match months {
        Months::OfPeriod => period.months.clone(),
        Months::Compared => vec![period::year_before(last), period::month_before(last), last],
    };
    parameters.day("earliest_day", months.first().copied().unwrap_or(last));
    parameters.months("months", &months, zone);
}

#[cfg(test)]
mod tests;
