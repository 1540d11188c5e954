//! Things by id: each has a number, and each is found by the text of its id.

use std::hash::BuildHasher;

use gridtally_schemas::{IdList, id::Listed};
use hashbrown::{DefaultHashBuilder, HashTable};

/// Parts of the index. Each grows by itself, so that no merge waits until all of it has been laid out anew, nor is it there twice then.
const PARTS: usize = 256;

/// Ids with their numbers, from 0 in the order in which they came.
#[derive(Debug)]
pub(super) struct Register<I> {
    ids: IdList<I>,
    index: Vec<HashTable<u32>>,
    hasher: DefaultHashBuilder,
}

impl<I: Listed> Default for Register<I> {
    fn default() -> Self {
        Self {
            ids: IdList::default(),
            index: (0..PARTS).map(|_| HashTable::new()).collect(),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

/// The part of the index for a hash, by bits that a table itself does not go by: it takes the lowest for the place, the highest for the tag.
fn part_of(hash: u64) -> usize {
    let [_, _, byte, ..] = hash.to_be_bytes();
    usize::from(byte)
}

fn position(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl<I: Listed> Register<I> {
    /// The number of an id.
    pub(super) fn find(&self, id: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(id);
        let is_it = |number: &u32| self.get(*number) == Some(id);
        self.index.get(part_of(hash))?.find(hash, is_it).copied()
    }

    /// The number of an id, and whether it is new.
    pub(super) fn number(&mut self, id: &I) -> (u32, bool) {
        if let Some(found) = self.find(id.as_ref()) {
            return (found, false);
        }
        let new = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        self.ids.push(id);
        let (ids, hasher) = (&self.ids, &self.hasher);
        let hash_of = |number: &u32| hasher.hash_one(ids.get(position(*number)).unwrap_or_default());
        let hash = hasher.hash_one(id.as_ref());
        if let Some(part) = self.index.get_mut(part_of(hash)) {
            part.insert_unique(hash, new, hash_of);
        }
        (new, true)
    }

    /// The text of an id.
    pub(super) fn get(&self, number: u32) -> Option<&str> {
        self.ids.get(position(number))
    }

    /// An id of its own.
    pub(super) fn id(&self, number: u32) -> Option<I> {
        self.ids.id(position(number))
    }

    /// All ids.
    pub(super) const fn ids(&self) -> &IdList<I> {
        &self.ids
    }

    /// Number of ids.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }
}
