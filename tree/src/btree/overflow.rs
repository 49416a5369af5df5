//! Values too large for a leaf: a chain of overflow pages, written before the leaf refers to it.
//!
//! Each page of a chain is logged by a record of its own, without any bitmap's bit. Only the record that
//! puts the reference into the leaf sets the bits of all of them: after a crash in between, the pages are
//! simply free. A chain never changes once it is written; it is replaced as a whole.

use wal::Lsn;

use crate::change::Change;
use crate::error::{Error, Result};
use crate::page::{Location, Op, Page, PageId, image, overflow_capacity};
use crate::pages::Pages;

/// The longest value, in bytes.
pub const MAX_VALUE: usize = 16 << 20;

/// A chain that no leaf refers to yet. Its pages go back to the allocator if none ever does.
pub(crate) struct NewChain<'p, const PAGE: usize> {
    pages: &'p Pages<PAGE>,
    ids: Vec<PageId>,
    linked: bool,
}

impl<const PAGE: usize> NewChain<'_, PAGE> {
    /// The pages of the chain, in order.
    pub(crate) fn ids(&self) -> &[PageId] {
        &self.ids
    }

    /// A leaf refers to the chain now.
    pub(crate) fn linked(mut self) {
        self.linked = true;
    }
}

impl<const PAGE: usize> Drop for NewChain<'_, PAGE> {
    fn drop(&mut self) {
        if !self.linked {
            self.pages.space.give_back(self.ids.drain(..));
        }
    }
}

impl<const PAGE: usize> Pages<PAGE> {
    /// Writes a value of at most [`MAX_VALUE`] bytes to a chain of its own. Call without latches.
    pub(crate) fn write_chain(&self, value: &[u8]) -> Result<NewChain<'_, PAGE>> {
        let pieces: Vec<_> = value.chunks(overflow_capacity(PAGE)).collect();
        let mut chain = NewChain { pages: self, ids: Vec::with_capacity(pieces.len()), linked: false };
        for _ in &pieces {
            chain.ids.push(self.allocate()?);
        }
        // A group's bitmap comes before its pages, so that one that is blank in front of pages is known for damage.
        let locations = chain.ids.iter().filter_map(|&id| Location::of::<PAGE>(id));
        let mut groups: Vec<_> = locations.map(|location| location.group).collect();
        groups.dedup();
        groups.into_iter().try_for_each(|group| self.create_map(group))?;
        let mut bytes = Vec::with_capacity(PAGE);
        for (index, piece) in pieces.iter().enumerate() {
            self.log.admit()?;
            let next = chain.ids.get(index + 1).copied();
            let page = Page::<PAGE>::new_overflow(next, piece).expect("pieces are cut to fit a page");
            bytes.clear();
            image(&page, &mut bytes);
            self.write_piece(chain.ids[index], &bytes)?;
        }
        Ok(chain)
    }

    fn write_piece(&self, id: PageId, bytes: &[u8]) -> Result<Lsn> {
        self.retry(|_| {
            let mut reserve = self.pool.reserve(1)?;
            let mut guard = self.create(id, &mut reserve)?;
            Ok(self.commit(0, &mut [Change { guard: &mut guard, ops: &[Op::Image { bytes }] }])?)
        })
    }

    /// Reads a chain: its pages and the value. Call without latches, but with the epoch pinned since a latch
    /// on the leaf was held, so that the chain is still what the leaf referred to.
    pub(crate) fn read_chain(&self, first: PageId, len: u32) -> Result<(Vec<PageId>, Vec<u8>)> {
        let (mut ids, mut value) = (Vec::new(), Vec::with_capacity((len as usize).min(MAX_VALUE)));
        let mut next = Some(first);
        while let Some(page) = next {
            next = self.retry(|_| {
                let piece = self.read(page)?;
                if piece.kind() != crate::page::Kind::Overflow || piece.overflow_data().is_empty() {
                    return Err(self.broken_chain(page, "it should hold a piece of a value").into());
                }
                value.extend_from_slice(piece.overflow_data());
                Ok(piece.overflow_next())
            })?;
            ids.push(page);
            // Every piece adds to the value, so this bound also ends a chain that runs in a circle.
            if value.len() > len as usize {
                return Err(self.broken_chain(page, "its chain is longer than the value"));
            }
        }
        if value.len() != len as usize {
            return Err(self.broken_chain(first, "its chain is shorter than the value"));
        }
        Ok((ids, value))
    }

    fn broken_chain(&self, page: PageId, reason: &str) -> Error {
        self.store.damaged(page, reason.to_string())
    }
}

impl<const PAGE: usize> std::fmt::Debug for NewChain<'_, PAGE> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewChain").field("ids", &self.ids).field("linked", &self.linked).finish()
    }
}
