//! Who is connected through which meter: each connection knows the one before it of its consumer, and of its meter.
//!
//! Nearly every consumer and every meter has one connection, so two numbers take the place of a list each. The connection of a consumer
//! through a meter is found by going along both lines at once until the shorter ends: a number that stands for "no meter" in somebody's
//! files may have a hundred thousand connections, but its consumers have one.

use std::iter;

use super::{Connection, ConnectionIx, MeterIx, Network};

const NONE: u32 = u32::MAX;

/// The consumer and the meter of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) consumer: u32,
    meter: u32,
    before_of_consumer: u32,
    before_of_meter: u32,
}

impl Ends {
    /// The meter; `None`: unmetered.
    pub(super) fn meter(&self) -> Option<MeterIx> {
        (self.meter != NONE).then_some(MeterIx(self.meter))
    }
}

/// The last connection of each consumer, or of each meter.
#[derive(Debug, Default)]
pub(super) struct Last(Vec<u32>);

impl Last {
    /// Makes room for one more, without a connection.
    pub(super) fn push(&mut self) {
        self.0.push(NONE);
    }

    fn get(&self, of: u32) -> u32 {
        let of = usize::try_from(of).ok();
        of.and_then(|of| self.0.get(of)).copied().unwrap_or(NONE)
    }

    /// Puts a connection behind the others; gives the one before it.
    fn put(&mut self, of: u32, connection: u32) -> u32 {
        let of = usize::try_from(of).ok();
        let last = of.and_then(|of| self.0.get_mut(of));
        last.map_or(NONE, |last| std::mem::replace(last, connection))
    }
}

impl Network {
    fn line<'a>(
        &'a self,
        last: u32,
        before: impl Fn(&Ends) -> u32 + 'a,
    ) -> impl Iterator<Item = Connection<'a>> {
        let index = |number: u32| (number != NONE).then_some(ConnectionIx(number));
        let next = move |at: &ConnectionIx| index(before(self.connections.get(at.at())?));
        iter::successors(index(last), next).map(|at| Connection { network: self, at })
    }

    /// The connections of a meter, the one that was heard of last first.
    pub(super) fn serving(&self, meter: MeterIx) -> impl Iterator<Item = Connection<'_>> {
        self.line(self.last_of_meter.get(meter.0), |ends| ends.before_of_meter)
    }

    fn of_consumer(&self, consumer: u32) -> impl Iterator<Item = Connection<'_>> {
        self.line(self.last_of_consumer.get(consumer), |ends| {
            ends.before_of_consumer
        })
    }

    /// The connections of a consumer, in the order in which they were heard of.
    #[must_use]
    pub fn connections_of(&self, consumer: &str) -> Vec<Connection<'_>> {
        let number = self.consumers.find(consumer);
        let mut connections: Vec<Connection<'_>> = number
            .into_iter()
            .flat_map(|number| self.of_consumer(number))
            .collect();
        connections.reverse();
        connections
    }

    /// The connections of each consumer, one consumer after the other.
    pub fn consumers(&self) -> impl Iterator<Item = impl Iterator<Item = Connection<'_>>> {
        let numbers = 0..u32::try_from(self.consumers.len()).unwrap_or(u32::MAX);
        numbers.map(|number| self.of_consumer(number))
    }

    /// The connection of a consumer through one meter (or none).
    pub(super) fn joining(&self, consumer: u32, meter: Option<MeterIx>) -> Option<ConnectionIx> {
        let is_it = |held: &Connection<'_>| {
            let ends = self.connections.get(held.at.at());
            ends.is_some_and(|ends| ends.consumer == consumer && ends.meter() == meter)
        };
        let mut of_consumer = self.of_consumer(consumer);
        let Some(meter) = meter else {
            return of_consumer.find(is_it).map(Connection::index);
        };
        // In turns, one of each, until one of the lines ends: what is on both is on that one.
        let mut of_meter = self.serving(meter);
        loop {
            for next in [of_consumer.next()?, of_meter.next()?] {
                if is_it(&next) {
                    return Some(next.at);
                }
            }
        }
    }

    /// Makes the connection of a consumer through one meter (or none).
    pub(super) fn join(&mut self, consumer: u32, meter: Option<MeterIx>) -> ConnectionIx {
        let new = ConnectionIx::of(self.connections.len());
        let before_of_meter = meter.map_or(NONE, |meter| self.last_of_meter.put(meter.0, new.0));
        self.connections.push(Ends {
            consumer,
            meter: meter.map_or(NONE, |meter| meter.0),
            before_of_consumer: self.last_of_consumer.put(consumer, new.0),
            before_of_meter,
        });
        self.connection_rows.push();
        new
    }
}
