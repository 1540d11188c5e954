//! A meter, a connection and their rows as one looks at them.

use std::{fmt, marker::PhantomData, ops::Deref, ops::Range, sync::Arc};

use gridtally_schemas::{
    ConsumerId, MeterId, NodeId, UtcMicros,
    network::{ConnectionRow, MeterRow},
};

use super::{
    ConnectionIx, ConnectionSays, MeterIx, MeterSays, Network, NodeIx, Recorded,
    history::narrow_by,
    rows::{Row, Rows, Term},
};

/// Whose rows they are.
pub trait Kind: fmt::Debug + Clone + Copy {
    /// What a row says beside the node.
    type Says: fmt::Debug + 'static;
    #[doc(hidden)]
    fn says(network: &Network, number: u32) -> Option<&Self::Says>;
}

/// Rows of meters.
#[derive(Debug, Clone, Copy)]
pub struct OfMeters;

/// Rows of connections.
#[derive(Debug, Clone, Copy)]
pub struct OfConnections;

impl Kind for OfMeters {
    type Says = MeterSays;
    fn says(network: &Network, number: u32) -> Option<&MeterSays> {
        network.meter_says.get(number)
    }
}

impl Kind for OfConnections {
    type Says = ConnectionSays;
    fn says(network: &Network, number: u32) -> Option<&ConnectionSays> {
        network.connection_says.get(number)
    }
}

/// A row of a meter or a connection.
pub struct RowOf<'a, K: Kind> {
    /// Holds from.
    pub valid_from: UtcMicros,
    /// Holds until before; `None`: open.
    pub valid_to: Option<UtcMicros>,
    /// The node that it names.
    pub node: Option<NodeIx>,
    network: &'a Network,
    of: u32,
    row: Row,
    says: &'a K::Says,
}

// Derived, both would ask the same of what a row says, which is only referred to.
impl<K: Kind> Clone for RowOf<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Kind> Copy for RowOf<'_, K> {}

impl<K: Kind> fmt::Debug for RowOf<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowOf")
            .field("of", &self.of)
            .field("node", &self.node)
            .field("valid_from", &self.valid_from)
            .field("valid_to", &self.valid_to)
            .field("says", self.says)
            .finish_non_exhaustive()
    }
}

impl<K: Kind> Deref for RowOf<'_, K> {
    type Target = K::Says;
    fn deref(&self) -> &K::Says {
        self.says
    }
}

impl<'a, K: Kind> RowOf<'a, K> {
    /// What it says beside the node.
    #[must_use]
    pub const fn says(&self) -> &'a K::Says {
        self.says
    }

    /// The id of the node that it names.
    #[must_use]
    pub fn node_id(&self) -> Option<&'a NodeId> {
        self.network.node(self.node?).map(|node| &node.id)
    }

    fn recorded_as<R>(&self, row: R) -> Recorded<R> {
        let word = self.network.words.get(self.row.word);
        let (recorded_at, source) = word.cloned().unwrap_or_else(|| (self.valid_from, Arc::from("")));
        Recorded {
            recorded_at,
            source,
            row,
        }
    }
}

/// A row of a meter.
pub type MeterRowOf<'a> = RowOf<'a, OfMeters>;
/// A row of a connection.
pub type ConnectionRowOf<'a> = RowOf<'a, OfConnections>;

impl MeterRowOf<'_> {
    /// The row as master data have it.
    pub(super) fn to_row(self) -> Option<MeterRow> {
        let boundary_to = self.says.boundary_to.and_then(|node| self.network.node(node));
        Some(MeterRow {
            meter_id: self.network.meters.id(self.of)?,
            role: self.role,
            node_id: self.node_id().cloned(),
            boundary_to: boundary_to.map(|node| node.id.clone()),
            interval_minutes: self.interval_minutes,
            multiplier: self.multiplier,
            valid_from: self.valid_from,
            valid_to: self.valid_to,
        })
    }
}

impl<'a> ConnectionRowOf<'a> {
    const fn connection(&self) -> Connection<'a> {
        Connection {
            network: self.network,
            at: ConnectionIx(self.of),
        }
    }

    /// The consumer.
    #[must_use]
    pub fn consumer_id(&self) -> &'a str {
        self.connection().consumer_id()
    }

    /// Its meter; `None`: unmetered.
    #[must_use]
    pub fn meter_id(&self) -> Option<&'a str> {
        self.connection().meter_id()
    }

    /// The row as master data have it.
    pub(super) fn to_row(self) -> Option<ConnectionRow> {
        let connection = self.connection();
        Some(ConnectionRow {
            consumer_id: connection.consumer()?,
            meter_id: connection
                .meter()
                .and_then(|meter| self.network.meters.id(meter.0)),
            node_id: self.node_id()?.clone(),
            category: self.category.clone(),
            supply: self.supply,
            phases: self.phases,
            sanctioned_load_kw: self.sanctioned_load_kw,
            metering: self.metering,
            prosumer: self.prosumer,
            assessed_kwh_month: self.assessed_kwh_month,
            valid_from: self.valid_from,
            valid_to: self.valid_to,
        })
    }

    /// The row as master data have it, with where it came from.
    #[must_use]
    pub fn recorded(&self) -> Option<Recorded<ConnectionRow>> {
        Some(self.recorded_as(self.to_row()?))
    }
}

/// All rows of a meter or a connection, by when they begin.
#[derive(Clone, Copy)]
pub struct RowsOf<'a, K: Kind> {
    network: &'a Network,
    of: u32,
    rows: &'a [Row],
    kind: PhantomData<K>,
}

impl<K: Kind> fmt::Debug for RowsOf<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rows()).finish()
    }
}

impl<'a, K: Kind> RowsOf<'a, K> {
    fn new(network: &'a Network, rows: &'a Rows, of: u32) -> Self {
        Self {
            network,
            of,
            rows: rows.of(of),
            kind: PhantomData,
        }
    }

    fn look(network: &'a Network, of: u32, row: Row) -> Option<RowOf<'a, K>> {
        let term: Term = network.terms.get(row.term).copied()?;
        Some(RowOf {
            valid_from: term.from,
            valid_to: term.to,
            node: row.node(),
            network,
            of,
            row,
            says: K::says(network, row.says)?,
        })
    }

    pub(super) fn look_at(&self, row: &Row) -> Option<RowOf<'a, K>> {
        Self::look(self.network, self.of, *row)
    }

    /// All of them.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = RowOf<'a, K>> + use<'a, K> {
        let (network, of) = (self.network, self.of);
        let rows = self.rows.iter();
        rows.filter_map(move |row| Self::look(network, of, *row))
    }

    /// The row that holds at `instant`: of those that cover it the one that began last.
    #[must_use]
    pub fn at(&self, instant: UtcMicros) -> Option<RowOf<'a, K>> {
        let covers = |row: &&Row| {
            let term = self.network.terms.get(row.term);
            term.is_some_and(|term| term.covers(instant))
        };
        let row = self.rows.iter().rev().find(covers)?;
        Self::look(self.network, self.of, *row)
    }

    /// The row that began last: the newest word on this id.
    #[must_use]
    pub fn newest(&self) -> Option<RowOf<'a, K>> {
        Self::look(self.network, self.of, *self.rows.last()?)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// When each begins and ends.
    pub fn terms(&self) -> impl Iterator<Item = (UtcMicros, Option<UtcMicros>)> + use<'a, K> {
        let terms = &self.network.terms;
        let rows = self.rows.iter();
        rows.filter_map(|row| terms.get(row.term).map(|term| (term.from, term.to)))
    }

    /// The rows that begin before `end`.
    pub(super) fn rows_before(&self, end: UtcMicros) -> impl Iterator<Item = RowOf<'a, K>> + use<'a, K> {
        self.rows().take_while(move |row| row.valid_from < end)
    }

    /// Narrows `span`, which contains `instant`, to where none of these rows begins or ends.
    pub(super) fn narrow(&self, instant: UtcMicros, span: &mut Range<UtcMicros>) {
        narrow_by(self.terms(), instant, span);
    }
}

impl RowsOf<'_, OfMeters> {
    /// Whether one of them says this.
    pub(super) fn knows(&self, row: &MeterRow) -> bool {
        self.rows().any(|held| {
            let boundary_to = held.boundary_to.and_then(|node| self.network.node(node));
            let boundary_to = boundary_to.map(|node| &node.id);
            (held.valid_from, held.valid_to) == (row.valid_from, row.valid_to)
                && (held.node_id(), boundary_to) == (row.node_id.as_ref(), row.boundary_to.as_ref())
                && *held == MeterSays::of(row, held.boundary_to)
        })
    }
}

impl RowsOf<'_, OfConnections> {
    /// Whether one of them says this.
    pub(super) fn knows(&self, row: &ConnectionRow) -> bool {
        self.rows().any(|held| {
            (held.valid_from, held.valid_to) == (row.valid_from, row.valid_to)
                && held.node_id() == Some(&row.node_id)
                && *held == ConnectionSays::of(row)
        })
    }
}

/// A meter with every row and every connection it ever served.
#[derive(Clone, Copy)]
pub struct Meter<'a> {
    pub(super) network: &'a Network,
    pub(super) at: MeterIx,
}

impl fmt::Debug for Meter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Meter").field(&self.id()).finish()
    }
}

impl<'a> Meter<'a> {
    /// Its index.
    #[must_use]
    pub const fn index(self) -> MeterIx {
        self.at
    }

    /// Its id.
    #[must_use]
    pub fn id(self) -> &'a str {
        self.network.meters.get(self.at.0).unwrap_or_default()
    }

    /// Its id, to be kept.
    #[must_use]
    pub fn meter_id(self) -> Option<MeterId> {
        self.network.meters.id(self.at.0)
    }

    /// Its rows; none while only a connection names it.
    #[must_use]
    pub fn history(self) -> RowsOf<'a, OfMeters> {
        RowsOf::new(self.network, &self.network.meter_rows, self.at.0)
    }

    /// Connections it ever served, the one that was heard of last first.
    pub fn connections(self) -> impl Iterator<Item = Connection<'a>> {
        self.network.serving(self.at)
    }
}

/// A consumer's connection through one meter (or none), with every row.
#[derive(Clone, Copy)]
pub struct Connection<'a> {
    pub(super) network: &'a Network,
    pub(super) at: ConnectionIx,
}

impl fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("consumer", &self.consumer_id())
            .field("meter", &self.meter_id())
            .finish()
    }
}

impl<'a> Connection<'a> {
    /// Its index.
    #[must_use]
    pub const fn index(self) -> ConnectionIx {
        self.at
    }

    /// The consumer.
    #[must_use]
    pub fn consumer_id(self) -> &'a str {
        let ends = self.network.connections.get(self.at.at());
        let id = ends.and_then(|ends| self.network.consumers.get(ends.consumer));
        id.unwrap_or_default()
    }

    /// The consumer, to be kept.
    #[must_use]
    pub fn consumer(self) -> Option<ConsumerId> {
        let ends = self.network.connections.get(self.at.at())?;
        self.network.consumers.id(ends.consumer)
    }

    /// The meter; `None`: unmetered.
    #[must_use]
    pub fn meter(self) -> Option<MeterIx> {
        self.network.connections.get(self.at.at())?.meter()
    }

    /// The meter's id; `None`: unmetered.
    #[must_use]
    pub fn meter_id(self) -> Option<&'a str> {
        self.network.meters.get(self.meter()?.0)
    }

    /// Its rows.
    #[must_use]
    pub fn history(self) -> RowsOf<'a, OfConnections> {
        RowsOf::new(self.network, &self.network.connection_rows, self.at.0)
    }
}
