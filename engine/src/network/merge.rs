//! Master rows on their way into the network, and what they touch.

use std::sync::Arc;

use gridtally_schemas::{
    NodeId, UtcMicros,
    network::{ConnectionRow, MasterRows, MeterRow, NodeKind, NodeRow},
};

use super::{
    Connection, ConnectionIx, ConnectionSays, Meter, MeterIx, MeterSays, Network, NodeIx, Recorded,
    history::Merged,
    rows::{Row, Rows, Term},
};

/// What a master row changed: the feeders whose rosters it touches, and from when on.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Feeders, sorted, each once.
    pub feeders: Vec<NodeIx>,
    /// Meters that now have a row and had none before.
    pub meters_now_known: Vec<MeterIx>,
    /// Rows that changed something.
    pub rows_changed: usize,
}

/// A meter or a connection.
#[derive(Debug, Clone, Copy)]
enum Of {
    Meter(MeterIx),
    Connection(ConnectionIx),
}

impl Of {
    const fn number(self) -> u32 {
        match self {
            Self::Meter(meter) => meter.0,
            Self::Connection(connection) => connection.0,
        }
    }
}

impl Network {
    /// Merges master rows and says what they touch.
    pub fn merge(&mut self, recorded_at: UtcMicros, source: &Arc<str>, rows: MasterRows) -> Touched {
        let mut touched = Touched::default();
        match rows {
            MasterRows::Nodes(rows) => {
                for row in rows {
                    let source = Arc::clone(source);
                    let new = Recorded {
                        recorded_at,
                        source,
                        row,
                    };
                    self.merge_node(new, &mut touched);
                }
            }
            MasterRows::Meters(rows) => {
                let word = self.words.number((recorded_at, Arc::clone(source)));
                for row in &rows {
                    self.merge_meter(row, word, &mut touched);
                }
            }
            MasterRows::Connections(rows) => {
                let word = self.words.number((recorded_at, Arc::clone(source)));
                for row in &rows {
                    self.merge_connection(row, word, &mut touched);
                }
            }
        }
        touched.feeders.sort_unstable();
        touched.feeders.dedup();
        touched
    }

    fn merge_node(&mut self, new: Recorded<NodeRow>, touched: &mut Touched) {
        let node = self.node_named(&new.row.node_id);
        let parent = new.row.parent_id.as_ref().map(|parent| self.node_named(parent));
        let Some(entry) = self.nodes.get_mut(node.at()) else {
            return;
        };
        let was = entry.standing();
        let replaced = match entry.history.merge(new) {
            Merged::Known => return,
            Merged::Added => None,
            Merged::Replaced(row) => row.parent_id,
        };
        self.census.change(node, was, entry.standing());
        touched.rows_changed += 1;
        if let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(parent.at()))
            && !parent.children.contains(&node)
        {
            parent.children.push(node);
        }
        if was.0 == Some(NodeKind::Feeder) {
            touched.feeders.push(node);
        }
        self.feeder_named(replaced.as_ref(), &mut touched.feeders);
        self.feeders_at_or_below(node, &mut touched.feeders);
        self.feeders_above(node, &mut touched.feeders);
    }

    fn merge_meter(&mut self, row: &MeterRow, word: u32, touched: &mut Touched) {
        let meter = self.name_meter(&row.meter_id);
        let node = row.node_id.as_ref().map(|id| self.node_named(id));
        let boundary_to = row.boundary_to.as_ref().map(|id| self.node_named(id));
        let says = self.meter_says.number(MeterSays::of(row, boundary_to));
        let term = Term {
            from: row.valid_from,
            to: row.valid_to,
        };
        let new = Row::new(node, [says, self.terms.number(term), word]);
        let was_known = !self.meter_rows.of(meter.0).is_empty();
        let replaced = match self.place(Of::Meter(meter), new) {
            Merged::Known => return,
            Merged::Added => [None, None],
            Merged::Replaced(row) => {
                let said = self.meter_says.get(row.says);
                [row.node(), said.and_then(|said| said.boundary_to)]
            }
        };
        touched.rows_changed += 1;
        if !was_known {
            touched.meters_now_known.push(meter);
        }
        for node in [node, boundary_to].into_iter().flatten() {
            if let Some(node) = self.nodes.get_mut(node.at())
                && !node.meters.contains(&meter)
            {
                node.meters.push(meter);
            }
        }
        for node in replaced.into_iter().flatten() {
            self.feeders_above(node, &mut touched.feeders);
        }
        self.feeders_of_meter(meter, &mut touched.feeders);
    }

    fn merge_connection(&mut self, row: &ConnectionRow, word: u32, touched: &mut Touched) {
        let node = self.node_named(&row.node_id);
        let connection = self.connection_named(row);
        let says = self.connection_says.number(ConnectionSays::of(row));
        let term = Term {
            from: row.valid_from,
            to: row.valid_to,
        };
        let new = Row::new(Some(node), [says, self.terms.number(term), word]);
        let replaced = match self.place(Of::Connection(connection), new) {
            Merged::Known => return,
            Merged::Added => None,
            Merged::Replaced(row) => row.node(),
        };
        touched.rows_changed += 1;
        if let Some(node) = self.nodes.get_mut(node.at())
            && !node.connections.contains(&connection)
        {
            node.connections.push(connection);
        }
        if let Some(node) = replaced {
            self.feeders_above(node, &mut touched.feeders);
        }
        self.feeders_of_connection(connection, &mut touched.feeders);
    }

    const fn rows_of_kind(&self, of: Of) -> &Rows {
        match of {
            Of::Meter(_) => &self.meter_rows,
            Of::Connection(_) => &self.connection_rows,
        }
    }

    const fn rows_of_kind_mut(&mut self, of: Of) -> &mut Rows {
        match of {
            Of::Meter(_) => &mut self.meter_rows,
            Of::Connection(_) => &mut self.connection_rows,
        }
    }

    /// Merges a row into those of its meter or connection, as [`super::History::merge`] does.
    fn place(&mut self, of: Of, new: Row) -> Merged<Row> {
        let begin = |row: &Row| self.terms.get(row.term).map(|term| term.from);
        let rows = self.rows_of_kind(of).of(of.number());
        let (at, held) = match rows.binary_search_by_key(&begin(&new), begin) {
            Err(at) => {
                self.rows_of_kind_mut(of).insert(of.number(), at, new);
                return Merged::Added;
            }
            Ok(at) => match rows.get(at) {
                Some(held) => (at, *held),
                None => return Merged::Known,
            },
        };
        if held.says_as(&new) {
            // Said again: see `History::merge`.
            let word = self.later_word(held.word, new.word);
            let again = held.recorded(word);
            self.rows_of_kind_mut(of).replace(of.number(), at, again);
            return Merged::Known;
        }
        if !self.supersedes(of, &new, &held) {
            return Merged::Known;
        }
        self.rows_of_kind_mut(of).replace(of.number(), at, new);
        Merged::Replaced(held)
    }

    /// The word on a row that was said again: the source of the first, the later of both times.
    fn later_word(&mut self, first: u32, again: u32) -> u32 {
        match (self.words.get(first), self.words.get(again)) {
            (Some((then, source)), Some((now, _))) if now > then => {
                let word = (*now, Arc::clone(source));
                self.words.number(word)
            }
            _ => first,
        }
    }

    fn supersedes(&self, of: Of, new: &Row, held: &Row) -> bool {
        let recorded_at = |row: &Row| self.words.get(row.word).map(|(at, _)| *at);
        let order = recorded_at(new).cmp(&recorded_at(held));
        order
            .then_with(|| self.content(of, new).cmp(&self.content(of, held)))
            .is_gt()
    }

    /// What decides between two rows of one time of recording.
    fn content(&self, of: Of, row: &Row) -> String {
        let text = match of {
            Of::Meter(at) => {
                let row = Meter { network: self, at }.history().look_at(row);
                row.and_then(|row| serde_json::to_string(&row.to_row()?).ok())
            }
            Of::Connection(at) => {
                let row = Connection { network: self, at }.history().look_at(row);
                row.and_then(|row| serde_json::to_string(&row.to_row()?).ok())
            }
        };
        text.unwrap_or_default()
    }

    pub(super) fn feeder_named(&self, id: Option<&NodeId>, feeders: &mut Vec<NodeIx>) {
        let node = id.and_then(|id| self.find_node(id.as_str()));
        feeders.extend(
            node.filter(|node| self.node(*node).and_then(super::Node::kind) == Some(NodeKind::Feeder)),
        );
    }

    /// The index of a node that something names, whether or not a row of it is known.
    pub(crate) fn name_node(&mut self, id: &NodeId) -> NodeIx {
        self.node_named(id)
    }

    fn node_named(&mut self, id: &NodeId) -> NodeIx {
        if let Some(found) = self.node_index.get(id) {
            return *found;
        }
        let index = NodeIx::of(self.nodes.len());
        self.nodes.push(super::Node::named(id));
        self.census.name();
        self.node_index.insert(id.clone(), index);
        index
    }

    /// The index of a meter that something names, whether or not a row of it is known.
    pub(crate) fn name_meter(&mut self, id: &gridtally_schemas::MeterId) -> MeterIx {
        let (number, is_new) = self.meters.number(id);
        if is_new {
            self.meter_rows.push();
            self.last_of_meter.push();
        }
        MeterIx(number)
    }

    fn connection_named(&mut self, row: &ConnectionRow) -> ConnectionIx {
        let meter = row.meter_id.as_ref().map(|id| self.name_meter(id));
        let (consumer, is_new) = self.consumers.number(&row.consumer_id);
        if is_new {
            self.last_of_consumer.push();
        }
        match self.joining(consumer, meter) {
            Some(found) => found,
            None => self.join(consumer, meter),
        }
    }
}
