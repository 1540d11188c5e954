//! Effective-dated rows of one file must not overlap for one id.
//!
//! Only within a file: against what was imported before, the network's own rule decides (of two rows of one id that both
//! cover an instant the one that began later holds; of two with the same beginning the later recorded), so that the picture
//! does not depend on the order of files.

use std::collections::BTreeMap;

use gridtally_schemas::UtcMicros;
use hashbrown::HashMap;

#[derive(Debug, Clone, Copy)]
struct Validity {
    until: i64,
    line: u64,
}

/// The validities of one id. Nearly all ids have one, which needs no tree.
#[derive(Debug)]
enum OfId {
    One(i64, Validity),
    Many(BTreeMap<i64, Validity>),
}

/// What the rows of a file have claimed so far. Grows with the ids of a master-data file: about 100 bytes an id.
#[derive(Debug, Default)]
pub(crate) struct Validities(HashMap<Box<str>, OfId>);

impl Validities {
    /// Claims a period for an id; gives the line of the row that holds some of it already.
    pub(crate) fn claim(
        &mut self,
        id: &str,
        from: UtcMicros,
        to: Option<UtcMicros>,
        line: u64,
    ) -> Result<(), u64> {
        let new = Validity {
            until: to.map_or(i64::MAX, |to| to.0),
            line,
        };
        let Some(held) = self.0.get_mut(id) else {
            self.0.insert(id.into(), OfId::One(from.0, new));
            return Ok(());
        };
        match held {
            OfId::One(begin, one) => {
                if *begin < new.until && from.0 < one.until {
                    return Err(one.line);
                }
                *held = OfId::Many(BTreeMap::from([(*begin, *one), (from.0, new)]));
            }
            OfId::Many(many) => {
                // Those held do not overlap, so the last that begins before the new one's end reaches furthest into it.
                if let Some((_, last)) = many.range(..new.until).next_back()
                    && from.0 < last.until
                {
                    return Err(last.line);
                }
                many.insert(from.0, new);
            }
        }
        Ok(())
    }
}
