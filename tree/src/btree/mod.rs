//! The trees: protocols as sibling files over shared page operations.
//!
//! | file | what it holds |
//! |---|---|
//! | `mutex.rs` | the baseline: one lock a tree |
//! | `coupled.rs` | per-page latches, latch coupling |
//! | `leaf.rs` | what a write does to its leaf, whoever latched it |
//! | `structure.rs` | splits and merges: one record each, all latches held |
//! | `batch.rs` | several leaves at once |
//! | `overflow.rs` | values too large for a leaf |
//! | `scan.rs` | leaf after leaf, in either direction |
//! | `check.rs` | a read-only verifier |
//!
//! A protocol of your own is one more file that implements [`Protocol`], and a line in [`open`].

mod batch;
pub(crate) mod check;
#[cfg(feature = "latch")]
mod coupled;
mod leaf;
#[cfg(feature = "mutex")]
mod mutex;
pub(crate) mod overflow;
pub(crate) mod scan;
mod space_edit;
mod structure;

use std::fmt;

use wal::Lsn;

#[cfg(not(all(feature = "mutex", feature = "latch")))]
use crate::error::Error;
use crate::error::Result;
use crate::options::{Engine, Wait};
use crate::page::{Page, PageId, Value};
use crate::pages::{Pages, Patience};
use crate::sync::Arc;

/// Which leaf to go to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seek<'a> {
    /// The one that covers the key.
    Key(&'a [u8]),
    /// The one that holds, or would hold, the greatest keys below the bound.
    Below(&'a [u8]),
    /// The last one.
    Last,
}

impl Seek<'_> {
    /// The slot of the child to go to.
    #[inline]
    pub(crate) fn child<const PAGE: usize>(self, node: &Page<PAGE>) -> usize {
        match self {
            Seek::Key(key) => node.child_index(key),
            Seek::Last => node.count() - 1,
            Seek::Below(bound) => {
                let slot = node.child_index(bound);
                // A child whose lower bound is the very bound holds nothing below it.
                let at_bound = slot > 0 && bound.get(node.prefix().len()..) == Some(node.suffix(slot));
                slot - usize::from(at_bound)
            }
        }
    }
}

/// What a write does with its key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action<'a> {
    /// Sets the value.
    Put(Value<'a>),
    /// Removes the key.
    Delete,
}

/// What must hold for a write to take effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Condition<'a> {
    /// Nothing.
    Always,
    /// The key is not there.
    Absent,
    /// The key is there, with this value.
    Equals(&'a [u8]),
}

/// A write of one key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edit<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) action: Action<'a>,
    pub(crate) condition: Condition<'a>,
    /// The pages of the new value's chain, to be linked by the write.
    pub(crate) chain: &'a [PageId],
    /// What the write may wait for.
    pub(crate) patience: Patience,
}

/// What a write came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edited {
    /// Where the log has the write, or, where it did not apply, what its answer rests on.
    pub(crate) lsn: Lsn,
    /// Whether the condition held, and, for a delete, the key was there.
    pub(crate) applied: bool,
    /// The leaf has become so empty that a merge is worth a try.
    pub(crate) underfull: bool,
}

/// A visitor of leaves: called with the leaf kept still by the protocol, so it must be short.
pub(crate) type Visit<'v, const PAGE: usize> = &'v mut dyn FnMut(&Page<PAGE>);

/// What a tree does, whichever way its nodes are guarded.
pub(crate) trait Protocol<const PAGE: usize>: fmt::Debug + Send + Sync {
    /// Calls `visit` once, with the leaf that `seek` leads to.
    fn visit(&self, seek: Seek<'_>, patience: Patience, visit: Visit<'_, PAGE>) -> Result<()>;

    /// As `visit`, and hints the disk about the leaves that follow in the direction of the scan.
    fn visit_ahead(&self, seek: Seek<'_>, visit: Visit<'_, PAGE>) -> Result<()>;

    /// Writes one key.
    fn edit(&self, edit: &Edit<'_>) -> Result<Edited>;

    /// Writes several keys, in ascending order and without duplicates, by one log record. Waits as it must.
    fn apply(&self, edits: &[Edit<'_>]) -> Result<Lsn>;
}

/// The tree over these pages, by the protocol of that name.
///
/// # Errors
/// The protocol is not compiled in.
pub(crate) fn open<const PAGE: usize>(
    engine: Engine,
    wait: Wait,
    pages: Arc<Pages<PAGE>>,
) -> Result<Box<dyn Protocol<PAGE>>> {
    match engine {
        #[cfg(feature = "mutex")]
        Engine::Mutex => Ok(Box::new(mutex::MutexTree::new(pages, wait))),
        #[cfg(feature = "latch")]
        Engine::Coupled => Ok(Box::new(coupled::CoupledTree::new(pages))),
        #[cfg(not(all(feature = "mutex", feature = "latch")))]
        _ => {
            let _ = (pages, wait);
            let reason = format!("{engine} is not compiled in; enable the crate's feature for it");
            Err(Error::Option { option: "engine", reason })
        }
    }
}
