//! The bytes of one file on their way to the sink.

use std::io::{self, Read};

use wal::planted;

use crate::database::Shared;
use crate::error::{Error, Result};
use crate::page::{Page, PageId};
use crate::pool::{Pool, Store};
use crate::sync::Arc;

use super::hold::Running;

/// Where the bytes of a file come from: fills a part of the buffer, and says how many bytes that is.
pub(super) type Source<'s> = &'s mut dyn FnMut(&mut [u8]) -> Result<usize>;

/// A file as the sink reads it. It ends where it was announced to, and keeps what went wrong: a sink may make of an
/// error what it likes.
pub(super) struct Content<'c> {
    pub(super) source: Source<'c>,
    pub(super) running: &'c Running<'c>,
    /// Bytes that are still to be read.
    pub(super) left: u64,
    pub(super) failure: Option<Error>,
}

impl Content<'_> {
    fn next(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.failure.clone().map_or(Ok(()), Err)?;
        let count = (self.source)(buf)?;
        self.running.check()?;
        Ok(count)
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = self.left.min(buf.len() as u64) as usize;
        if most == 0 {
            return Ok(0);
        }
        match self.next(&mut buf[..most]) {
            Ok(count) => {
                self.left -= count as u64;
                Ok(count)
            }
            Err(error) => {
                self.failure = Some(error.clone());
                Err(io::Error::other(error))
            }
        }
    }
}

/// The pages of a data file, one behind the other.
pub(super) struct PageSource<'s, const PAGE: usize> {
    pool: &'s Pool<PAGE>,
    store: &'s Arc<Store>,
    /// The page that is handed out, and how much of it has been.
    page: Page<PAGE>,
    used: usize,
    next: PageId,
}

impl<'s, const PAGE: usize> PageSource<'s, PAGE> {
    pub(super) fn new(shared: &'s Shared<PAGE>, store: &'s Arc<Store>) -> Self {
        Self { pool: &shared.pool, store, page: Page::zeroed(), used: PAGE, next: PageId(0) }
    }

    pub(super) fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        if self.used == PAGE {
            self.load(self.next)?;
            self.next.0 += 1;
            self.used = 0;
        }
        let count = buf.len().min(PAGE - self.used);
        buf[..count].copy_from_slice(&self.page.bytes()[self.used..][..count]);
        self.used += count;
        Ok(count)
    }

    /// A whole page, as it is now or was at some instant since the checkpoint.
    fn load(&mut self, id: PageId) -> Result<()> {
        // Memory first: it is cheaper, and a page that is being written is there.
        if let Some(guard) = self.pool.peek(self.store, id) {
            self.page.bytes_mut().copy_from_slice(guard.bytes());
        } else if self.store.read(id, &mut self.page).is_err() && !planted!("backup-torn-kept") {
            // Perhaps a write under way has torn what was read. What is torn while nobody writes is damaged.
            self.pool.between_writes(|| self.store.read(id, &mut self.page))?;
        }
        self.page.seal();
        Ok(())
    }
}
