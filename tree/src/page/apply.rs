//! Applying an operation: the ONE function that changes pages, in the foreground and in recovery.

use super::build::{NodeBuilder, from_image};
use super::edit::Payload;
use super::layout::at;
use super::{ApplyError, HEADER, Kind, Op, Page};

impl Op<'_> {
    /// Changes the page. Its id and LSN stay; to set the LSN is the caller's part.
    ///
    /// The same operation on the same content always gives the same content: this is what recovery rests on.
    /// It leads from pages that [`Page::verify`] accepts to such pages only.
    ///
    /// # Errors
    /// If the operation does not fit the page, which is then as it was.
    pub(crate) fn apply<const PAGE: usize>(&self, page: &mut Page<PAGE>) -> Result<(), ApplyError> {
        match *self {
            Op::Insert { slot, suffix, value } => {
                expect(page, &[Kind::Leaf])?;
                page.insert_cell(usize::from(slot), suffix, Payload::Value(value))?;
                page.note_insert(usize::from(slot));
                Ok(())
            }
            Op::Update { slot, value } => {
                expect(page, &[Kind::Leaf])?;
                page.update_cell(usize::from(slot), value)
            }
            Op::Remove { slot } => {
                expect(page, &[Kind::Leaf, Kind::Inner])?;
                page.remove_cell(usize::from(slot))
            }
            Op::InsertChild { slot: 0, .. } => Err(ApplyError::FirstChild),
            Op::InsertChild { slot, suffix, child } => {
                expect(page, &[Kind::Inner])?;
                page.insert_cell(usize::from(slot), suffix, Payload::Child(child))
            }
            Op::Truncate { slots, high } => truncate(page, usize::from(slots), high),
            Op::Image { bytes } => {
                page.take_content(&from_image(bytes).map_err(ApplyError::Image)?);
                Ok(())
            }
            Op::Free => {
                page.bytes_mut()[at::KIND..HEADER].fill(0);
                Ok(())
            }
            Op::SetBits { pages } => {
                expect(page, &[Kind::Space])?;
                page.put_bits(pages, true)
            }
            Op::ClearBits { pages } => {
                expect(page, &[Kind::Space])?;
                page.put_bits(pages, false)
            }
        }
    }
}

fn expect<const PAGE: usize>(page: &Page<PAGE>, kinds: &[Kind]) -> Result<(), ApplyError> {
    let kind = page.kind();
    if kinds.contains(&kind) { Ok(()) } else { Err(ApplyError::WrongKind(kind)) }
}

/// Builds the left half aside: a longer high fence can need more room than the lost slots gave, so that
/// whether it fits is known at the end only.
fn truncate<const PAGE: usize>(page: &mut Page<PAGE>, slots: usize, high: &[u8]) -> Result<(), ApplyError> {
    expect(page, &[Kind::Leaf, Kind::Inner])?;
    let count = page.count();
    if slots > count {
        return Err(ApplyError::NoSlot { slot: slots, count });
    }
    if page.high_fence().is_some_and(|old| high > old) {
        return Err(ApplyError::Fences);
    }
    let mut left = NodeBuilder::new(page.kind(), page.level(), page.low_fence(), Some(high));
    left.push_slots(page, 0..slots);
    let mut left = left.finish()?;
    left.keep_run(page);
    page.take_content(&left);
    Ok(())
}
