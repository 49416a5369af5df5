//! The one way in which pages change: log first, then apply what was logged.
//!
//! The law, step by step, for one record over all the pages that it changes, whose exclusive latches the
//! caller holds:
//!
//! 1. mark the pages dirty, from the log's end as it is now on;
//! 2. append the record: its LSN is taken under the latches, so that LSN order is page order;
//! 3. apply the operations to the pages, by the same function that redo uses;
//! 4. set the pages' LSN.
//!
//! Nothing here waits. If the append fails, no page has changed.

use std::cell::Cell;

use wal::{Lsn, planted};

use crate::error::Result;
use crate::page::{Op, Page, RecordWriter, image};
use crate::pages::Pages;
use crate::pool::WriteGuard;
use crate::sync::delay;

/// What one record does to one page.
pub(crate) struct Change<'c, 'p, const PAGE: usize> {
    pub(crate) guard: &'c mut WriteGuard<'p, PAGE>,
    pub(crate) ops: &'c [Op<'c>],
}

thread_local! {
    /// Where records are put together. Taken out while in use, so that nothing is borrowed across a lock.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl<const PAGE: usize> Pages<PAGE> {
    /// Logs and applies one record, and adds `delta` to the partition's item count in the same instant.
    ///
    /// # Errors
    /// The log refused; nothing has changed. The caller makes sure that the operations apply.
    pub(crate) fn commit(&self, delta: i32, changes: &mut [Change<'_, '_, PAGE>]) -> Result<Lsn> {
        let mut payload = SCRATCH.take();
        payload.clear();
        let lsn =
            self.encode(delta, changes, &mut payload).and_then(|()| self.append(delta, changes, &payload));
        SCRATCH.set(payload);
        let lsn = lsn?;
        delay();
        for Change { guard, ops } in changes {
            let page = guard.page_mut();
            for op in *ops {
                op.apply(page).map_err(|error| self.store.damaged(page.id(), error.to_string()))?;
            }
            if !planted!("page-lsn-unset") {
                page.set_lsn(lsn);
            }
        }
        Ok(lsn)
    }

    fn append(&self, delta: i32, changes: &mut [Change<'_, '_, PAGE>], payload: &[u8]) -> Result<Lsn> {
        let mut mark = |end| changes.iter_mut().for_each(|change| change.guard.mark_dirty(end));
        if planted!("dirty-after-append") {
            let lsn = self.log.append_then(payload, || self.count.add(delta))?;
            mark(lsn);
            return Ok(lsn);
        }
        mark(self.log.end());
        delay();
        Ok(self.log.append_then(payload, || self.count.add(delta))?)
    }

    fn encode(&self, delta: i32, changes: &[Change<'_, '_, PAGE>], payload: &mut Vec<u8>) -> Result<()> {
        let mut record = RecordWriter::new(payload, self.store.partition, delta);
        for Change { guard, ops } in changes {
            if self.page_images {
                let page = applied(guard, ops).map_err(|error| self.store.damaged(guard.id(), error))?;
                let mut bytes = Vec::with_capacity(PAGE);
                image(&page, &mut bytes);
                record.op(guard.id(), &Op::Image { bytes: &bytes });
            } else {
                for op in *ops {
                    record.op(guard.id(), op);
                }
            }
        }
        Ok(())
    }
}

/// The page as it will be.
fn applied<const PAGE: usize>(page: &Page<PAGE>, ops: &[Op<'_>]) -> Result<Page<PAGE>, String> {
    let mut page = page.clone();
    for op in ops {
        op.apply(&mut page).map_err(|error| error.to_string())?;
    }
    Ok(page)
}
