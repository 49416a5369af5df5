//! Operations for callers that must not wait, such as the threads of an asynchronous runtime.

use crate::btree::Condition;
use crate::commit::Commit;
use crate::error::Result;
use crate::pages::Patience;
use crate::table::TableOf;

/// The operations of a table that are done at once, or not at all. From [`TableOf::in_memory`].
///
/// Where an operation would have to wait, for a page that is not in memory, for a split, for a value that does not
/// fit a leaf, for room in the log, or for the baseline's lock while somebody holds it, it answers
/// [`Error::WouldWait`](crate::Error::WouldWait) and has changed nothing: call the table's own method where waiting
/// is allowed. It does wait for page latches, which are held for microseconds; only a page that another thread is
/// reading from the disk at that very moment is waited for as long as that takes.
///
/// A delete that leaves a page underfull merges it only if its neighbours are in memory; a later delete does it
/// otherwise.
#[derive(Clone, Copy, Debug)]
pub struct InMemory<'t, const PAGE: usize> {
    table: &'t TableOf<PAGE>,
}

impl<'t, const PAGE: usize> InMemory<'t, PAGE> {
    pub(crate) fn new(table: &'t TableOf<PAGE>) -> Self {
        Self { table }
    }

    /// See [`TableOf::fetch`].
    ///
    /// # Errors
    /// [`Error::WouldWait`](crate::Error::WouldWait), or as for the table's method.
    pub fn fetch(self, key: &[u8]) -> Result<(Option<Vec<u8>>, Commit<'t>)> {
        self.table.fetch_with(key, Patience::InMemory)
    }

    /// See [`TableOf::put_if`].
    ///
    /// # Errors
    /// As for [`fetch`](Self::fetch).
    pub fn put_if(self, key: &[u8], value: &[u8], condition: Condition<'_>) -> Result<Commit<'t>> {
        self.table.put_with(key, value, condition, Patience::InMemory)
    }

    /// See [`TableOf::delete_if`].
    ///
    /// # Errors
    /// As for [`fetch`](Self::fetch).
    pub fn delete_if(self, key: &[u8], condition: Condition<'_>) -> Result<Commit<'t>> {
        self.table.delete_with(key, condition, Patience::InMemory)
    }
}
