//! Many ids of one kind in little memory: each by its number, text behind text in pages.
//!
//! An id of its own takes 64 bytes (the handle, two counts, the text, what the allocator adds); here it takes its text and two bytes. A
//! page that is full never changes, so a copy of the list shares all pages but the last.

use std::{marker::PhantomData, sync::Arc};

use super::{ConsumerId, GatewayId, ID_BYTES_MAX, MeterId, NodeId};

/// Ids of a page. With the longest ids its text is 64 KiB, so that where an id begins is told in two bytes.
const IDS_OF_PAGE: usize = (1 << 16) / ID_BYTES_MAX;

/// A kind of id that an [`IdList`] can hold.
pub trait Listed: AsRef<str> + of_text::OfText {}

mod of_text {
    /// An id from text that was checked when it came into the list.
    pub trait OfText {
        /// The id of a text that was one before.
        fn of_checked(text: &str) -> Self;
    }
}

macro_rules! listed {
    ($($name:ident),+) => { $(
        impl of_text::OfText for $name {
            fn of_checked(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }
        impl Listed for $name {}
    )+ };
}
listed!(MeterId, NodeId, ConsumerId, GatewayId);

#[derive(Debug, Clone, Default)]
struct Page {
    text: String,
    /// Where each id begins.
    begins: Vec<u16>,
}

impl Page {
    fn get(&self, at: usize) -> Option<&str> {
        let begin = usize::from(*self.begins.get(at)?);
        let end = self
            .begins
            .get(at + 1)
            .map_or(self.text.len(), |next| usize::from(*next));
        self.text.get(begin..end)
    }

    fn push(&mut self, id: &str) {
        self.begins
            .push(u16::try_from(self.text.len()).unwrap_or(u16::MAX));
        self.text.push_str(id);
    }
}

/// Ids by number, from 0 in the order in which they came.
#[derive(Debug, Clone)]
pub struct IdList<I> {
    full: Vec<Arc<Page>>,
    open: Page,
    kind: PhantomData<I>,
}

impl<I> Default for IdList<I> {
    fn default() -> Self {
        Self {
            full: Vec::new(),
            open: Page::default(),
            kind: PhantomData,
        }
    }
}

impl<I: Listed> IdList<I> {
    /// Adds an id; its number is the length before.
    pub fn push(&mut self, id: &I) {
        self.open.push(id.as_ref());
        if self.open.begins.len() == IDS_OF_PAGE {
            let mut page = std::mem::take(&mut self.open);
            page.text.shrink_to_fit();
            self.full.push(Arc::new(page));
        }
    }

    /// The text of an id.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&str> {
        let (page, at) = (number / IDS_OF_PAGE, number % IDS_OF_PAGE);
        if page == self.full.len() {
            return self.open.get(at);
        }
        self.full.get(page)?.get(at)
    }

    /// An id of its own.
    #[must_use]
    pub fn id(&self, number: usize) -> Option<I> {
        self.get(number).map(I::of_checked)
    }

    /// Number of ids.
    #[must_use]
    pub fn len(&self) -> usize {
        self.full.len() * IDS_OF_PAGE + self.open.begins.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_it_was_whatever_page_it_is_on_and_a_copy_keeps_what_it_had() {
        let mut list = IdList::<MeterId>::default();
        let longest = |at: usize| format!("{at:0>ID_BYTES_MAX$}");
        let id = |at: usize| {
            let text = if at.is_multiple_of(3) {
                longest(at)
            } else {
                format!("M{at}")
            };
            MeterId::parse(&text).unwrap()
        };
        assert!(list.is_empty() && list.get(0).is_none());
        let mut copy = list.clone();
        for at in 0..3 * IDS_OF_PAGE + 5 {
            if at == IDS_OF_PAGE + 7 {
                copy = list.clone();
            }
            list.push(&id(at));
        }
        assert_eq!((list.len(), copy.len()), (3 * IDS_OF_PAGE + 5, IDS_OF_PAGE + 7));
        for at in 0..list.len() {
            assert_eq!(list.id(at), Some(id(at)));
            assert_eq!(
                copy.get(at),
                (at < copy.len()).then(|| id(at).to_string()).as_deref()
            );
        }
        assert_eq!(list.get(list.len()), None);
    }

    #[test]
    fn a_page_of_the_longest_ids_is_told_in_two_bytes() {
        let mut list = IdList::<NodeId>::default();
        for at in 0..IDS_OF_PAGE {
            list.push(&NodeId::parse(&format!("{at:0>ID_BYTES_MAX$}")).unwrap());
        }
        assert_eq!(
            list.get(IDS_OF_PAGE - 1),
            Some(format!("{:0>ID_BYTES_MAX$}", IDS_OF_PAGE - 1).as_str())
        );
    }
}
