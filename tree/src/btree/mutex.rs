//! The baseline: one lock a tree, as in the roadmap's system.
//!
//! Writers are alone in the tree; readers share it. Whether a writer waits for the log while it holds the
//! lock is a setting, because that, more than the lock, is what the roadmap's system paid for. The pages, the
//! pool and the log are those of the other protocols; page latches are taken, as guards are the only door to
//! a page, but are never contended.

use wal::{Lsn, planted};

use super::leaf::edit_leaf;
use super::{Edit, Edited, Protocol, Seek, Visit, batch};
use crate::error::{Error, Result};
use crate::options::Wait;
use crate::page::PageId;
use crate::pages::{Interrupt, Pages, Patience};
use crate::space::ROOT;
use crate::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

#[derive(Debug)]
pub(crate) struct MutexTree<const PAGE: usize> {
    pages: Arc<Pages<PAGE>>,
    lock: RwLock<()>,
    wait: Wait,
}

impl<const PAGE: usize> MutexTree<PAGE> {
    pub(crate) fn new(pages: Arc<Pages<PAGE>>, wait: Wait) -> Self {
        Self { pages, lock: RwLock::new(()), wait }
    }

    /// The page id of the leaf that `seek` leads to. The lock keeps the tree still.
    fn leaf(&self, seek: Seek<'_>, ahead: bool) -> Result<PageId, Interrupt> {
        let (mut page, mut node) = (ROOT, self.pages.read(ROOT)?);
        while node.level() > 0 {
            let (slot, level) = (seek.child(&node), node.level());
            if ahead && level == 1 {
                self.pages.prefetch(&node, slot, seek);
            }
            page = node.child(slot);
            drop(node);
            node = self.pages.read_child(page, level)?;
        }
        Ok(page)
    }

    fn visit_leaf(
        &self,
        seek: Seek<'_>,
        ahead: bool,
        patience: Patience,
        visit: Visit<'_, PAGE>,
    ) -> Result<()> {
        let _tree = if planted!("read-unlocked") { None } else { Some(self.shared(patience)?) };
        self.pages.retry_with(patience, |_| {
            visit(&*self.pages.read(self.leaf(seek, ahead)?)?);
            Ok(())
        })
    }

    /// The tree's lock, shared. Its holders wait for the disk, so that who may not wait for that may not for them.
    fn shared(&self, patience: Patience) -> Result<RwLockReadGuard<'_, ()>> {
        match patience {
            Patience::Wait => {
                Ok(self.lock.try_read().unwrap_or_else(|| self.pages.lock_waits.time(|| self.lock.read())))
            }
            Patience::InMemory => self.lock.try_read().ok_or(Error::WouldWait),
        }
    }

    /// The tree's lock, exclusive: as [`shared`](Self::shared), for a write that may wait for the log behind it.
    fn exclusive(&self, patience: Patience) -> Result<RwLockWriteGuard<'_, ()>> {
        match patience {
            Patience::Wait => {
                Ok(self.lock.try_write().unwrap_or_else(|| self.pages.lock_waits.time(|| self.lock.write())))
            }
            Patience::InMemory if self.wait == Wait::UnderLock => Err(Error::WouldWait),
            Patience::InMemory => self.lock.try_write().ok_or(Error::WouldWait),
        }
    }

    /// Runs a write alone in the tree, and waits for the log where the setting says so.
    fn alone<T>(&self, patience: Patience, write: impl FnOnce() -> Result<(T, Lsn)>) -> Result<T> {
        let _tree = self.exclusive(patience)?;
        let (written, lsn) = write()?;
        if self.wait == Wait::UnderLock {
            self.pages.wait(lsn)?;
        }
        Ok(written)
    }
}

impl<const PAGE: usize> Protocol<PAGE> for MutexTree<PAGE> {
    fn visit(&self, seek: Seek<'_>, patience: Patience, visit: Visit<'_, PAGE>) -> Result<()> {
        self.visit_leaf(seek, false, patience, visit)
    }

    fn visit_ahead(&self, seek: Seek<'_>, visit: Visit<'_, PAGE>) -> Result<()> {
        self.visit_leaf(seek, true, Patience::Wait, visit)
    }

    fn edit(&self, edit: &Edit<'_>) -> Result<Edited> {
        self.alone(edit.patience, || {
            let edited = self.pages.retry_with(edit.patience, |attempt| {
                let mut leaf = self.pages.write(self.leaf(Seek::Key(edit.key), false)?)?;
                edit_leaf(&self.pages, &mut leaf, edit, attempt)
            })?;
            if edited.underfull {
                self.pages.merge(edit.key, edit.patience);
            }
            Ok((edited, edited.lsn))
        })
    }

    fn apply(&self, edits: &[Edit<'_>]) -> Result<Lsn> {
        self.alone(Patience::Wait, || {
            let lsn = batch::apply(&self.pages, edits)?;
            Ok((lsn, lsn))
        })
    }
}
