//! Several keys of one tree by one log record: all of them are there after a crash, or none.
//!
//! The descent keeps what it latches: inner nodes shared, leaves exclusively, from left to right. Nobody can
//! change an inner node on the way while it is held, and latches are taken in the order of the tree's
//! pre-order walk, as everywhere, so that two batches cannot wait for each other in a circle.
//!
//! Nothing is split under these latches. A leaf without room ends the attempt: everything is released, the
//! leaf is split by a record of its own, and the batch begins again.

use wal::Lsn;

use super::Edit;
use super::leaf::{became_underfull, plan};
use super::space_edit::SpaceEdit;
use crate::change::Change;
use crate::error::Result;
use crate::page::{Op, Page, PageId};
use crate::pages::{Attempt, Interrupt, Pages, Patience};
use crate::pool::{ReadGuard, WriteGuard};
use crate::space::ROOT;

/// Everything that a batch has latched.
struct Latched<'p, const PAGE: usize> {
    /// Held only to keep the way to the leaves as it is.
    inner: Vec<ReadGuard<'p, PAGE>>,
    /// Each leaf with the range of the edits that fall into it.
    leaves: Vec<(WriteGuard<'p, PAGE>, std::ops::Range<usize>)>,
}

/// What a batch does to one leaf.
struct LeafPlan<'e> {
    ops: Vec<Op<'e>>,
    delta: i32,
    freed: Vec<PageId>,
}

/// Applies the edits: in ascending order of keys, without duplicates or conditions.
pub(super) fn apply<const PAGE: usize>(pages: &Pages<PAGE>, edits: &[Edit<'_>]) -> Result<Lsn> {
    let (lsn, underfull) = pages.retry(|attempt| {
        let mut latched = latch(pages, edits)?;
        let plans = latched
            .leaves
            .iter()
            .map(|(leaf, range)| plan_leaf(pages, leaf, &edits[range.clone()], attempt))
            .collect::<Result<Vec<_>, _>>()?;
        let used_before: Vec<_> = latched.leaves.iter().map(|(leaf, _)| leaf.used_bytes()).collect();
        let lsn = commit(pages, &mut latched, &plans, edits)?;
        let leaves = latched.leaves.iter().zip(used_before);
        let underfull = leaves.filter(|((leaf, _), before)| became_underfull(leaf, *before));
        Ok((lsn, underfull.map(|((_, range), _)| edits[range.start].key).collect::<Vec<_>>()))
    })?;
    underfull.into_iter().for_each(|key| pages.merge(key, Patience::Wait));
    Ok(lsn)
}

fn latch<'p, const PAGE: usize>(
    pages: &'p Pages<PAGE>,
    edits: &[Edit<'_>],
) -> Result<Latched<'p, PAGE>, Interrupt> {
    let mut latched = Latched { inner: Vec::new(), leaves: Vec::new() };
    let root = pages.read(ROOT)?;
    if root.level() > 0 {
        latch_below(pages, root, edits, 0, &mut latched)?;
        return Ok(latched);
    }
    drop(root);
    let root = pages.write(ROOT)?;
    if root.level() > 0 {
        return Err(Interrupt::Again { level: 0 });
    }
    latched.leaves.push((root, 0..edits.len()));
    Ok(latched)
}

/// Latches the leaves of `edits`, all of which `node` covers, from left to right. `offset` is the place of
/// the first of them in the batch.
fn latch_below<'p, const PAGE: usize>(
    pages: &'p Pages<PAGE>,
    node: ReadGuard<'p, PAGE>,
    edits: &[Edit<'_>],
    offset: usize,
    latched: &mut Latched<'p, PAGE>,
) -> Result<(), Interrupt> {
    let mut start = 0;
    while start < edits.len() {
        let slot = node.child_index(edits[start].key);
        let len = edits[start..].partition_point(|edit| node.child_index(edit.key) == slot);
        let (child, edits) = (node.child(slot), &edits[start..start + len]);
        if node.level() == 1 {
            let leaf = pages.write_child(child, node.level())?;
            latched.leaves.push((leaf, offset + start..offset + start + len));
        } else {
            let child = pages.read_child(child, node.level())?;
            latch_below(pages, child, edits, offset + start, latched)?;
        }
        start += len;
    }
    latched.inner.push(node);
    Ok(())
}

/// The operations on one leaf, tried out on a copy: each finds the slots as the one before leaves them.
fn plan_leaf<'e, const PAGE: usize>(
    pages: &Pages<PAGE>,
    leaf: &Page<PAGE>,
    edits: &[Edit<'e>],
    attempt: &Attempt,
) -> Result<LeafPlan<'e>, Interrupt> {
    let mut trial = leaf.clone();
    let mut whole = LeafPlan { ops: Vec::with_capacity(edits.len()), delta: 0, freed: Vec::new() };
    for edit in edits {
        let planned = plan(&trial, edit, attempt).map_err(|interrupt| match interrupt {
            // Whether the leaf alone would have had room is not known any more: split between the two keys.
            Interrupt::Full { key, value_len, .. } => {
                Interrupt::Full { key, value_len, crowded: !whole.ops.is_empty() }
            }
            other => other,
        });
        let Some(planned) = planned? else { continue };
        planned.op.apply(&mut trial).map_err(|error| pages.store.damaged(leaf.id(), error.to_string()))?;
        whole.ops.push(planned.op);
        whole.delta += planned.delta;
        whole.freed.extend(planned.freed);
    }
    Ok(whole)
}

fn commit<'p, const PAGE: usize>(
    pages: &'p Pages<PAGE>,
    latched: &mut Latched<'p, PAGE>,
    plans: &[LeafPlan<'_>],
    edits: &[Edit<'_>],
) -> Result<Lsn, Interrupt> {
    let linked: Vec<_> = edits.iter().flat_map(|edit| edit.chain).copied().collect();
    let freed: Vec<_> = plans.iter().flat_map(|plan| &plan.freed).copied().collect();
    let mut space = SpaceEdit::latch(pages, &linked, &freed)?;
    let delta = plans.iter().map(|plan| plan.delta).sum();
    let leaves = latched.leaves.iter_mut().zip(plans).filter(|(_, plan)| !plan.ops.is_empty());
    let changes: Vec<_> = leaves.map(|((guard, _), plan)| Change { guard, ops: &plan.ops }).collect();
    if changes.is_empty() {
        // Deletes of keys that are not there: the answer rests on what was read.
        return Ok(latched.leaves.iter().map(|(leaf, _)| leaf.lsn()).max().unwrap_or_default());
    }
    let lsn = space.commit(pages, delta, changes)?;
    pages.space.retire(freed, lsn);
    Ok(lsn)
}
