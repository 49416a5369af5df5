//! Latch coupling: the latch on a node is held until the latch on its child is (Bayer and Schkolnick,
//! "Concurrency of Operations on B-Trees", 1977; their second solution).
//!
//! * A reader couples shared latches from the root to its leaf. Whoever holds a node's latch has reached it
//!   through a parent that was latched when it did, so no node can have moved away underneath.
//! * A writer bets that its leaf is safe: it couples shared latches too, and latches only the leaf
//!   exclusively. Nearly always the bet is won, and inner nodes are never latched exclusively.
//! * When the leaf is full, the writer lets go of everything, and `structure.rs` descends again with
//!   exclusive latches, making every child safe before the parent is released. Then the write begins anew.
//!
//! Latches are only ever taken downwards and, among siblings, to the right, so no cycle of waits can form.

use wal::{Lsn, planted};

use super::leaf::edit_leaf;
use super::{Edit, Edited, Protocol, Seek, Visit, batch};
use crate::error::Result;
use crate::pages::{Interrupt, Pages, Patience};
use crate::pool::{ReadGuard, WriteGuard};
use crate::space::ROOT;
use crate::sync::Arc;

#[derive(Debug)]
pub(crate) struct CoupledTree<const PAGE: usize> {
    pages: Arc<Pages<PAGE>>,
}

impl<const PAGE: usize> CoupledTree<PAGE> {
    pub(crate) fn new(pages: Arc<Pages<PAGE>>) -> Self {
        Self { pages }
    }

    /// The leaf that `seek` leads to, under a shared latch.
    fn leaf(&self, seek: Seek<'_>, ahead: bool) -> Result<ReadGuard<'_, PAGE>, Interrupt> {
        let mut node = self.pages.read(ROOT)?;
        while node.level() > 0 {
            let slot = seek.child(&node);
            if ahead && node.level() == 1 {
                self.pages.prefetch(&node, slot, seek);
            }
            let (child, above) = (node.child(slot), node.level());
            if planted!("coupling-dropped") {
                drop(node);
            }
            // The child's latch is taken before the assignment drops the parent's: this line is the coupling.
            node = self.pages.read_child(child, above)?;
        }
        Ok(node)
    }

    /// The leaf that covers `key`, under the exclusive latch.
    fn leaf_exclusive(&self, key: &[u8]) -> Result<WriteGuard<'_, PAGE>, Interrupt> {
        let mut node = self.pages.read(ROOT)?;
        if node.level() == 0 {
            drop(node);
            let root = self.pages.write(ROOT)?;
            // The root may have been split before its latch was ours.
            return if root.level() == 0 || planted!("root-unchecked") {
                Ok(root)
            } else {
                Err(Interrupt::Again { level: 0 })
            };
        }
        while node.level() > 1 {
            node = self.pages.read_child(node.child(node.child_index(key)), node.level())?;
        }
        let leaf = self.pages.write_child(node.child(node.child_index(key)), node.level())?;
        if planted!("latched-upwards") {
            let parent = node.id();
            drop(node);
            drop(self.pages.read(parent)?);
        }
        Ok(leaf)
    }
}

impl<const PAGE: usize> Protocol<PAGE> for CoupledTree<PAGE> {
    fn visit(&self, seek: Seek<'_>, patience: Patience, visit: Visit<'_, PAGE>) -> Result<()> {
        self.pages.retry_with(patience, |_| {
            visit(&*self.leaf(seek, false)?);
            Ok(())
        })
    }

    fn visit_ahead(&self, seek: Seek<'_>, visit: Visit<'_, PAGE>) -> Result<()> {
        self.pages.retry(|_| {
            visit(&*self.leaf(seek, true)?);
            Ok(())
        })
    }

    fn edit(&self, edit: &Edit<'_>) -> Result<Edited> {
        let edited = self.pages.retry_with(edit.patience, |attempt| {
            let mut leaf = self.leaf_exclusive(edit.key)?;
            edit_leaf(&self.pages, &mut leaf, edit, attempt)
        })?;
        if edited.underfull {
            self.pages.merge(edit.key, edit.patience);
        }
        Ok(edited)
    }

    fn apply(&self, edits: &[Edit<'_>]) -> Result<Lsn> {
        batch::apply(&self.pages, edits)
    }
}
