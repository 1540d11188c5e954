//! The chunks of a block, in memory or waiting on disk.

use std::ops::Deref;

use hashbrown::HashMap;

use super::{
    Quarter,
    chunk::Chunk,
    cold::{Cold, Drawn, Key, Place},
};

#[derive(Debug)]
enum Kept {
    /// Boxed: a map has room for twice what is in it.
    Here(Box<Chunk>),
    Away(Place),
}

/// A chunk to look at.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    /// It is in memory.
    Here(&'a Chunk),
    /// A copy of one that waits on disk.
    Read(Box<Chunk>),
}

impl Deref for Seen<'_> {
    type Target = Chunk;

    fn deref(&self) -> &Chunk {
        match self {
            Self::Here(chunk) => chunk,
            Self::Read(chunk) => chunk,
        }
    }
}

/// Chunks by quarter. Every method that takes `cold` takes the file in which those of this state wait.
#[derive(Debug, Default)]
pub(super) struct Chunks(HashMap<Quarter, Kept>);

impl Chunks {
    /// A chunk, wherever it is.
    pub(super) fn see<'a>(&'a self, cold: Option<&Cold>, key: Key) -> Option<Seen<'a>> {
        Some(match self.0.get(&key.1)? {
            Kept::Here(chunk) => Seen::Here(chunk),
            Kept::Away(place) => Seen::Read(cold?.get(key, place)),
        })
    }

    /// A chunk to be changed: it comes into memory; a new one if there is none.
    pub(super) fn change(&mut self, cold: Option<&Cold>, key: Key) -> &mut Chunk {
        let kept = self.0.entry(key.1).or_insert_with(|| Kept::Here(Box::default()));
        if let Kept::Away(place) = kept {
            let chunk = cold.map_or_else(Box::default, |cold| {
                cold.free(place);
                cold.get(key, place)
            });
            *kept = Kept::Here(chunk);
        }
        match kept {
            Kept::Here(chunk) => chunk,
            Kept::Away(_) => unreachable!("it has just come into memory"),
        }
    }

    /// A chunk that is in memory.
    pub(super) fn here_mut(&mut self, quarter: Quarter) -> Option<&mut Chunk> {
        match self.0.get_mut(&quarter)? {
            Kept::Here(chunk) => Some(chunk),
            Kept::Away(_) => None,
        }
    }

    /// A chunk as it is written, if there is one in memory.
    pub(super) fn draw(&self, key: Key) -> Option<Drawn> {
        match self.0.get(&key.1)? {
            Kept::Here(chunk) => Some(Drawn::of(key, chunk)),
            Kept::Away(_) => None,
        }
    }

    /// Notes that a chunk waits at a place, to which it was written as it is. Gives the memory that it took, bytes. Which of its slots changed
    /// is forgotten: then all may have.
    pub(super) fn put_away(&mut self, cold: &Cold, quarter: Quarter, place: Place) -> usize {
        if let Some(kept) = self.0.get_mut(&quarter)
            && let Kept::Here(chunk) = kept
        {
            let bytes = chunk.bytes();
            *kept = Kept::Away(place);
            return bytes;
        }
        cold.free(&place);
        0
    }

    /// Forgets a chunk. Gives the memory that it took, bytes, and its cells that held a value of their meter's own.
    pub(super) fn forget(&mut self, cold: Option<&Cold>, quarter: Quarter) -> Option<(usize, u64)> {
        match self.0.remove(&quarter)? {
            Kept::Here(chunk) => Some((chunk.bytes(), chunk.own_cells())),
            Kept::Away(place) => {
                if let Some(cold) = cold {
                    cold.free(&place);
                }
                Some((0, place.own_cells.into()))
            }
        }
    }

    /// Memory of the chunks that are here, bytes.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |kept: &Kept| match kept {
            Kept::Here(chunk) => chunk.bytes(),
            Kept::Away(_) => 0,
        };
        self.0.values().map(bytes).sum::<usize>() + self.0.capacity() * size_of::<(Quarter, Kept)>()
    }

    /// The quarters of the chunks that are in memory.
    pub(super) fn quarters_here(&self) -> impl Iterator<Item = Quarter> {
        let here = |(_, kept): &(&Quarter, &Kept)| matches!(kept, Kept::Here(_));
        self.0.iter().filter(here).map(|(quarter, _)| *quarter)
    }

    /// The quarters of all chunks.
    pub(super) fn quarters(&self) -> impl Iterator<Item = Quarter> {
        self.0.keys().copied()
    }

    /// Whether there is a chunk.
    pub(super) fn has(&self, quarter: Quarter) -> bool {
        self.0.contains_key(&quarter)
    }

    /// Number of chunks.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
