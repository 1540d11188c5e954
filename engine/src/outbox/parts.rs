//! Rows that stay where they were put.
//!
//! A vector that doubles copies all it holds, while the picture is locked: three million reads that waited for a checkpoint took 100 ms, and
//! whoever asked for a tile then waited as long. In parts nothing is copied, and no more memory is taken than one part beyond what is held.

/// Rows of one part: a megabyte or two.
const ROWS: usize = 16 * 1024;

/// Rows in the order in which they were added.
#[derive(Debug)]
pub(crate) struct Parts<T> {
    /// All are full but the last.
    parts: Vec<Vec<T>>,
}

impl<T> Default for Parts<T> {
    fn default() -> Self {
        Self { parts: Vec::new() }
    }
}

impl<T> Parts<T> {
    pub(crate) fn push(&mut self, row: T) {
        match self.parts.last_mut() {
            Some(part) if part.len() < ROWS => part.push(row),
            // The first grows as it must: most of the time few rows wait.
            last => {
                let mut part = Vec::with_capacity(if last.is_some() { ROWS } else { 1 });
                part.push(row);
                self.parts.push(part);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        let last = self.parts.last().map_or(0, Vec::len);
        self.parts.len().saturating_sub(1) * ROWS + last
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        self.parts.get(at / ROWS)?.get(at % ROWS)
    }

    pub(crate) fn last(&self) -> Option<&T> {
        self.parts.last()?.last()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.parts.iter().flatten()
    }

    /// Keeps what `keep` says, in order.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        if self.iter().all(&keep) {
            return;
        }
        for row in std::mem::take(self).parts.into_iter().flatten().filter(keep) {
            self.push(row);
        }
    }
}

impl<T> FromIterator<T> for Parts<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
        let mut parts = Self::default();
        rows.into_iter().for_each(|row| parts.push(row));
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_where_they_were_put_and_what_is_kept_keeps_its_order() {
        let many = 3 * ROWS + 7;
        let mut rows: Parts<usize> = (0..many).collect();
        assert_eq!((rows.len(), rows.last()), (many, Some(&(many - 1))));
        assert!(rows.iter().copied().eq(0..many));
        for at in [0, ROWS - 1, ROWS, 2 * ROWS + 1, many - 1] {
            assert_eq!(rows.get(at), Some(&at));
        }
        assert_eq!(rows.get(many), None);
        rows.retain(|row| row % 3 != 1);
        let kept = || (0..many).filter(|row| row % 3 != 1);
        assert!(rows.iter().copied().eq(kept()));
        assert_eq!(rows.len(), kept().count());
        assert_eq!(rows.get(ROWS), kept().nth(ROWS).as_ref(), "parts are full again");
        rows.retain(|_| false);
        assert_eq!(rows.len(), 0);
        assert!(rows.is_empty() && rows.last().is_none() && rows.get(0).is_none());
    }

    #[test]
    fn a_row_stays_where_it_is() {
        let mut rows = Parts::default();
        (0..ROWS).for_each(|row| rows.push(row));
        let place = std::ptr::from_ref(&rows.parts[0][0]);
        (0..3 * ROWS).for_each(|row| rows.push(row));
        assert_eq!(place, std::ptr::from_ref(&rows.parts[0][0]));
    }
}
