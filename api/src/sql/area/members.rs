//! Whose rows an area's are: its nodes, and the meters, consumers and entries of compensation that hang on them.
//!
//! A thing is where the row in force now has it; where none is in force, where the last one had it (what has left the network stays with
//! whom it left), and where none has begun, where the first one will have it. Of several connections at once each counts: a consumer with a
//! connection in the area belongs to it.
//!
//! The sets are read from the published tables once per query, and only those that its tables need.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use arrow::{
    array::{Array, AsArray, RecordBatch, StringArray},
    compute::cast,
    datatypes::{DataType, Int64Type},
};
use datafusion::{
    error::Result,
    prelude::{SessionConfig, SessionContext},
};
use gridtally_engine::tables::TablesReader;
use gridtally_schemas::table::{COMPENSATION_ENTRIES, CONNECTIONS, METERS, NODES, TableSchema};
use tokio::sync::OnceCell;

use super::{
    super::{catalog::StoredTable, definition},
    AreaOf, Kind,
};

type Ids = Arc<HashSet<String>>;

/// The sets of an area, each read when it is first asked for.
#[derive(Debug)]
pub(in crate::sql) struct Members {
    of: AreaOf,
    reader: TablesReader,
    nodes: OnceCell<Ids>,
    meters: OnceCell<Ids>,
    consumers: OnceCell<Ids>,
    entries: OnceCell<Ids>,
}

impl Members {
    pub(super) fn new(of: AreaOf, reader: TablesReader) -> Self {
        Self {
            of,
            reader,
            nodes: OnceCell::new(),
            meters: OnceCell::new(),
            consumers: OnceCell::new(),
            entries: OnceCell::new(),
        }
    }

    /// The area's things of a kind, by id.
    pub(super) async fn of(&self, kind: Kind) -> Result<Ids> {
        match kind {
            Kind::Node => self.nodes().await,
            Kind::Meter => self.meters.get_or_try_init(|| self.read_meters()).await.cloned(),
            Kind::Consumer => self.consumers().await,
            Kind::Entry => self
                .entries
                .get_or_try_init(|| self.read_entries())
                .await
                .cloned(),
        }
    }

    async fn nodes(&self) -> Result<Ids> {
        self.nodes.get_or_try_init(|| self.read_nodes()).await.cloned()
    }

    async fn consumers(&self) -> Result<Ids> {
        self.consumers
            .get_or_try_init(|| self.read_consumers())
            .await
            .cloned()
    }

    /// Keys of a table whose standing version names one of the area's things.
    pub(super) async fn standing(
        &self,
        schema: &'static TableSchema,
        (key, column, kind): (&'static str, &'static str, Kind),
    ) -> Result<Ids> {
        let members = self.of(kind).await?;
        let newest: Vec<String> = schema.newest_by.iter().map(|by| format!("{by} DESC")).collect();
        let query = format!(
            "SELECT {key}, {column} FROM (SELECT {key}, {column}, ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {}) AS newest_first \
             FROM {}{}) WHERE newest_first = 1",
            newest.join(", "),
            schema.name,
            definition::HISTORY,
        );
        let mut keys = HashSet::new();
        for batch in self.ask(schema, &query).await? {
            let (ids, names) = (texts(&batch, 0)?, texts(&batch, 1)?);
            let inside = ids.iter().zip(&names).filter_map(|(id, name)| {
                let inside = name.is_some_and(|name| members.contains(name));
                id.filter(|_| inside)
            });
            keys.extend(inside.map(str::to_owned));
        }
        Ok(Arc::new(keys))
    }

    /// The node and all below it.
    async fn read_nodes(&self) -> Result<Ids> {
        let mut parents: HashMap<String, Placed<Option<String>>> = HashMap::new();
        for batch in self
            .ask(&NODES, &dated(&NODES, &["node_id", "parent_id"]))
            .await?
        {
            let (ids, above) = (texts(&batch, 0)?, texts(&batch, 1)?);
            for (row, held) in self.held(&batch, 2)?.enumerate() {
                let (Some(id), above) = (text(&ids, row), text(&above, row)) else {
                    continue;
                };
                let placed = Placed {
                    held,
                    at: above.map(str::to_owned),
                };
                newest(&mut parents, id, placed);
            }
        }
        let mut below: HashMap<&str, Vec<&str>> = HashMap::new();
        for (id, placed) in &parents {
            if let Some(above) = &placed.at {
                below.entry(above).or_default().push(id);
            }
        }
        let mut inside: HashSet<String> = HashSet::new();
        let mut open = vec![self.of.node.as_str()];
        while let Some(node) = open.pop() {
            // Rows may name a cycle.
            if parents.contains_key(node) && inside.insert(node.to_owned()) {
                open.extend(below.get(node).into_iter().flatten());
            }
        }
        Ok(Arc::new(inside))
    }

    async fn read_consumers(&self) -> Result<Ids> {
        let connected = self.connected("consumer_id", &HashSet::new()).await;
        connected.map(|connected| Arc::new(connected.inside))
    }

    /// Meters of nodes by their own rows, consumers' and generators' by their connections; those without any by their own rows too.
    async fn read_meters(&self) -> Result<Ids> {
        let nodes = self.nodes().await?;
        let query = dated(&METERS, &["meter_id", "node_id", "role"]);
        let batches = self.ask(&METERS, &query).await?;
        let mut named: HashSet<String> = HashSet::new();
        for batch in &batches {
            let (ids, places) = (texts(batch, 0)?, texts(batch, 1)?);
            let inside = ids
                .iter()
                .zip(&places)
                .filter_map(|(id, place)| id.filter(|_| place.is_some_and(|node| nodes.contains(node))));
            named.extend(inside.map(str::to_owned));
        }
        let connected = self.connected("meter_id", &named).await?;
        // Of those that were ever inside: what all their rows say.
        let mut meters: HashMap<String, Placed<Side>> = HashMap::new();
        for batch in &batches {
            let (ids, places, roles) = (texts(batch, 0)?, texts(batch, 1)?, texts(batch, 2)?);
            for (row, held) in self.held(batch, 3)?.enumerate() {
                let Some(id) =
                    text(&ids, row).filter(|id| named.contains(*id) || connected.inside.contains(*id))
                else {
                    continue;
                };
                let at = Side {
                    inside: text(&places, row).is_some_and(|node| nodes.contains(node)),
                    of_node: text(&roles, row)
                        .is_some_and(|role| ["dt", "feeder", "boundary"].contains(&role)),
                };
                newest(&mut meters, id, Placed { held, at });
            }
        }
        let is_inside = |id: &str| {
            let own = meters.get(id).map(|placed| placed.at);
            let connected_inside = connected.inside.contains(id);
            match own {
                Some(own) if own.of_node => own.inside,
                Some(own) => connected_inside || (own.inside && !connected.outside.contains(id)),
                None => connected_inside,
            }
        };
        let candidates = named.iter().chain(&connected.inside);
        let inside = candidates.filter(|id| is_inside(id)).cloned().collect();
        Ok(Arc::new(inside))
    }

    async fn read_entries(&self) -> Result<Ids> {
        let consumers = self.consumers().await?;
        let query = format!(
            "SELECT DISTINCT entry_id, consumer_id FROM {}{}",
            COMPENSATION_ENTRIES.name,
            definition::HISTORY
        );
        let mut entries = HashSet::new();
        for batch in self.ask(&COMPENSATION_ENTRIES, &query).await? {
            let (ids, owed) = (texts(&batch, 0)?, texts(&batch, 1)?);
            let inside = ids.iter().zip(&owed).filter_map(|(id, consumer)| {
                id.filter(|_| consumer.is_some_and(|consumer| consumers.contains(consumer)))
            });
            entries.extend(inside.map(str::to_owned));
        }
        Ok(Arc::new(entries))
    }

    /// What hangs in the area by its connections: consumers, or meters; and which of `wanted` are connected, but not inside.
    async fn connected(&self, column: &'static str, wanted: &HashSet<String>) -> Result<Connected> {
        let nodes = self.nodes().await?;
        let batches = self
            .ask(&CONNECTIONS, &dated(&CONNECTIONS, &[column, "node_id"]))
            .await?;
        let mut fates: HashMap<String, Placed<bool>> = HashMap::new();
        let mut outside = HashSet::new();
        // First who was ever inside, then what all their rows say: most are never inside, and need no place.
        for candidates in [true, false] {
            for batch in &batches {
                let (ids, places) = (texts(batch, 0)?, texts(batch, 1)?);
                for (row, held) in self.held(batch, 2)?.enumerate() {
                    let Some(id) = text(&ids, row) else { continue };
                    let inside = text(&places, row).is_some_and(|node| nodes.contains(node));
                    if inside != candidates {
                        continue;
                    }
                    match fates.get_mut(id) {
                        Some(known) => known.also(held, inside),
                        None if inside => drop(fates.insert(id.to_owned(), Placed { held, at: inside })),
                        None if wanted.contains(id) => drop(outside.insert(id.to_owned())),
                        None => {}
                    }
                }
            }
        }
        let mut inside = HashSet::new();
        for (id, placed) in fates {
            if placed.at {
                inside.insert(id);
            } else {
                outside.insert(id);
            }
        }
        Ok(Connected { inside, outside })
    }

    /// How each row of a batch holds, by the columns `valid_from` and `valid_to` at `column` and behind it.
    fn held(&self, batch: &RecordBatch, column: usize) -> Result<impl Iterator<Item = Held>> {
        let (begins, ends) = (whole(batch, column)?, whole(batch, column + 1)?);
        let at = self.of.at;
        Ok((0..batch.num_rows()).map(move |row| {
            let begin = if begins.is_valid(row) {
                begins.value(row)
            } else {
                i64::MIN
            };
            let end = ends.is_valid(row).then(|| ends.value(row));
            Held::of(at, begin, end)
        }))
    }

    /// The rows of a query over the history of one table, which nothing narrows.
    async fn ask(&self, schema: &'static TableSchema, query: &str) -> Result<Vec<RecordBatch>> {
        let mut config = SessionConfig::new();
        config.options_mut().execution.parquet.schema_force_view_types = false;
        let context = SessionContext::new_with_config(config);
        let table = StoredTable::whole(schema, self.reader.clone(), &Arc::from("UTC"));
        context.register_table(format!("{}{}", schema.name, definition::HISTORY), Arc::new(table))?;
        context.sql(query).await?.collect().await
    }
}

/// What connections say.
struct Connected {
    inside: HashSet<String>,
    /// Connected, and not inside.
    outside: HashSet<String>,
}

/// How a row holds at an instant; the greatest of a thing's rows says where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    /// It will, from so much later: the sooner the greater.
    Later(i64),
    /// It did, since this instant.
    Once(i64),
    /// It does, since this instant.
    Now(i64),
}

impl Held {
    const fn of(at: i64, begin: i64, end: Option<i64>) -> Self {
        let ended = match end {
            Some(end) => end <= at,
            None => false,
        };
        if begin > at {
            Self::Later(-begin)
        } else if ended {
            Self::Once(begin)
        } else {
            Self::Now(begin)
        }
    }
}

/// Where a row puts a thing, and how it holds.
struct Placed<T> {
    held: Held,
    at: T,
}

impl Placed<bool> {
    /// Another row of the same thing: of several that hold now one inside is enough, else the greatest counts.
    fn also(&mut self, held: Held, inside: bool) {
        if let (Held::Now(_), Held::Now(_)) = (self.held, held) {
            self.at |= inside;
        } else if held > self.held {
            *self = Self { held, at: inside };
        }
    }
}

/// Where a meter's own row puts it.
#[derive(Clone, Copy)]
struct Side {
    inside: bool,
    /// Whether it measures a node, and not a connection.
    of_node: bool,
}

/// Keeps the greatest row of a thing.
fn newest<T>(things: &mut HashMap<String, Placed<T>>, id: &str, placed: Placed<T>) {
    match things.get_mut(id) {
        Some(known) if known.held >= placed.held => {}
        Some(known) => *known = placed,
        None => drop(things.insert(id.to_owned(), placed)),
    }
}

/// Columns of an effective-dated table's standing rows, and their time at the end, µs.
fn dated(schema: &TableSchema, columns: &[&str]) -> String {
    format!(
        "SELECT {}, CAST(valid_from AS BIGINT), CAST(valid_to AS BIGINT) FROM ({})",
        columns.join(", "),
        definition::standing(schema, None)
    )
}

fn texts(batch: &RecordBatch, column: usize) -> Result<StringArray> {
    let cells = cast(batch.column(column), &DataType::Utf8)?;
    Ok(cells.as_string::<i32>().clone())
}

fn text(cells: &StringArray, row: usize) -> Option<&str> {
    cells.is_valid(row).then(|| cells.value(row))
}

fn whole(batch: &RecordBatch, column: usize) -> Result<arrow::array::Int64Array> {
    let cells = cast(batch.column(column), &DataType::Int64)?;
    Ok(cells.as_primitive::<Int64Type>().clone())
}

#[cfg(test)]
mod tests {
    use super::Held;

    #[test]
    fn the_row_in_force_says_where_a_thing_is_else_the_last_else_the_first_to_come() {
        let check = |rows: &[(i64, Option<i64>)], expected: usize| {
            let held = rows.iter().map(|(begin, end)| Held::of(100, *begin, *end));
            let greatest = held.enumerate().max_by_key(|(_, held)| *held).unwrap().0;
            assert_eq!(greatest, expected, "{rows:?}");
        };
        check(&[(0, Some(50)), (50, None), (120, None)], 1);
        check(&[(0, None), (50, None)], 1);
        check(&[(0, Some(100)), (50, Some(60))], 1);
        check(&[(130, None), (120, None)], 1);
        check(&[(0, Some(10)), (120, None)], 0);
        check(&[(100, None), (0, Some(100))], 0);
    }
}
