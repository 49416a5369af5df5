//! What a write does to its leaf, whichever protocol has latched it.

use wal::{Lsn, planted};

use super::space_edit::SpaceEdit;
use super::{Action, Condition, Edit, Edited};
use crate::change::Change;
use crate::page::{Op, Page, PageId, Value, limits};
use crate::pages::{Attempt, Interrupt, Pages};
use crate::pool::WriteGuard;

/// The operation that makes a write's change of its leaf, and what the write frees.
pub(super) struct Planned<'a> {
    pub(super) op: Op<'a>,
    /// By how much the number of items changes.
    pub(super) delta: i32,
    /// The chain of the value that goes.
    pub(super) freed: Vec<PageId>,
}

/// Writes to the leaf that covers the key: logs, applies, and retires what it frees.
pub(super) fn edit_leaf<'p, const PAGE: usize>(
    pages: &'p Pages<PAGE>,
    leaf: &mut WriteGuard<'p, PAGE>,
    edit: &Edit<'_>,
    attempt: &Attempt,
) -> Result<Edited, Interrupt> {
    let Some(planned) = plan(leaf, edit, attempt)? else {
        return Ok(Edited { lsn: leaf.lsn(), applied: false, underfull: false });
    };
    let used_before = leaf.used_bytes();
    let lsn = commit(pages, leaf, &planned, edit.chain)?;
    pages.space.retire(planned.freed, lsn);
    Ok(Edited { lsn, applied: true, underfull: became_underfull(leaf, used_before) })
}

/// What the write does to the leaf, or `None` where its condition does not hold.
pub(super) fn plan<'a, const PAGE: usize>(
    leaf: &Page<PAGE>,
    edit: &Edit<'a>,
    attempt: &Attempt,
) -> Result<Option<Planned<'a>>, Interrupt> {
    let found = leaf.search(edit.key);
    if !holds(leaf, found.ok(), edit.condition, attempt)? && !planted!("condition-unjudged") {
        return Ok(None);
    }
    let (op, delta) = match (edit.action, found) {
        (Action::Put(value), Ok(slot)) => {
            ensure_room(leaf.fits_update(slot, value.stored_len()), edit.key, value)?;
            (Op::Update { slot: slot as u16, value }, 0)
        }
        (Action::Put(value), Err(slot)) => {
            let suffix = &edit.key[leaf.prefix().len()..];
            ensure_room(leaf.fits_insert(suffix.len(), value.stored_len()), edit.key, value)?;
            (Op::Insert { slot: slot as u16, suffix, value }, 1)
        }
        (Action::Delete, Ok(slot)) => (Op::Remove { slot: slot as u16 }, -1),
        (Action::Delete, Err(_)) => return Ok(None),
    };
    let freed = match found.ok().map(|slot| leaf.value(slot)) {
        Some(Value::Overflow { len, first }) => attempt.chain(first, len)?.pages.clone(),
        _ => Vec::new(),
    };
    Ok(Some(Planned { op, delta, freed }))
}

fn holds<const PAGE: usize>(
    leaf: &Page<PAGE>,
    found: Option<usize>,
    condition: Condition<'_>,
    attempt: &Attempt,
) -> Result<bool, Interrupt> {
    Ok(match (condition, found.map(|slot| leaf.value(slot))) {
        (Condition::Always, _) => true,
        (Condition::Absent, value) => value.is_none(),
        (Condition::Equals(_), None) => false,
        (Condition::Equals(expected), Some(Value::Inline(value))) => expected == value,
        (Condition::Equals(expected), Some(Value::Overflow { len, first })) => {
            expected.len() == len as usize && attempt.chain(first, len)?.value == expected
        }
    })
}

fn ensure_room(fits: bool, key: &[u8], value: Value<'_>) -> Result<(), Interrupt> {
    if fits {
        Ok(())
    } else {
        Err(Interrupt::Full { key: key.to_vec(), value_len: value.stored_len(), crowded: false })
    }
}

/// One record: the leaf, and the bitmaps where a chain comes or goes.
fn commit<'p, const PAGE: usize>(
    pages: &'p Pages<PAGE>,
    leaf: &mut WriteGuard<'p, PAGE>,
    planned: &Planned<'_>,
    linked: &[PageId],
) -> Result<Lsn, Interrupt> {
    let ops = [planned.op];
    let leaf = Change { guard: leaf, ops: &ops };
    if linked.is_empty() && planned.freed.is_empty() {
        return Ok(pages.commit(planned.delta, &mut [leaf])?);
    }
    let mut space = SpaceEdit::latch(pages, linked, &planned.freed)?;
    Ok(space.commit(pages, planned.delta, vec![leaf])?)
}

/// Underfull is below a quarter. Only the write that crosses the line asks for a merge, or every later one
/// would try again where the neighbours are too full for it.
pub(super) fn became_underfull<const PAGE: usize>(leaf: &Page<PAGE>, used_before: usize) -> bool {
    let quarter = limits::capacity(PAGE) / 4;
    let used = leaf.used_bytes();
    used < used_before && used < quarter && (used_before >= quarter || leaf.count() == 0)
}
