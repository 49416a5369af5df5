//! How large keys and values may be, so that a split always makes room.
//!
//! Let `C` be the page without its header, `K` the longest key (and so the longest fence) and `M` the
//! largest cell with its slot. Two claims rest on `2K + 2M <= C`, which is checked for all pages at compile
//! time:
//!
//! **One maximum cell fits besides two maximum fences** (and, in an inner node, besides the first child):
//! `2K + M + 12 <= C`, as `M > 12`.
//!
//! **Every full node splits in two so that the pending cell finds room.** Take the node's cells and the
//! pending one in key order, `T` bytes together, with `l` and `h` the sizes of the fences. Without the
//! pending cell they fitted: `T + l + h <= C + M`. Splitting before cell `j` by a separator of `s(j)` bytes
//! makes a left node of `l + s(j) + (cells below j)` and a right node of `s(j) + h + (cells from j on)`
//! bytes; prefixes only grow, so no cell does. Let `j` be the last position where the left node fits; `j = 1`
//! does by the first claim. If `j` is the last cell of all, the right node fits by the first claim. Otherwise
//! the left node of `j + 1` does not fit: `(cells below j) > C - l - s(j+1) - (cell j)`, so the right node of
//! `j` has less than `s(j) + h + T - C + l + s(j+1) + (cell j) <= 2K + 2M <= C` bytes. The same argument with
//! `C - M` for `C`, and the separator moving out of the node, serves inner nodes, which are split before the
//! pending separator is known to either side: `3K + 24 <= C - M`.
//!
//! With a quarter of the page as a bare limit on keys the second claim is false: two large neighbours that
//! share all but their last byte make a separator as large as they are, on both sides of the split.

use super::HEADER;

/// The bytes of a slot.
pub(crate) const SLOT: usize = 8;
/// The bytes of a reference to a chain of overflow pages.
pub(crate) const OVERFLOW_REF: usize = 8;
/// The bytes of a leaf's cell besides suffix and value.
pub(super) const LEAF_CELL: usize = 2;
/// The bytes of an inner node's cell besides the suffix.
pub(super) const INNER_CELL: usize = 4;

/// The bytes of a page that slots, cells and fences share.
pub(crate) const fn capacity(page: usize) -> usize {
    page - HEADER
}

/// The largest sum of a key's and its value's bytes that a leaf keeps. What is larger goes to overflow pages.
pub(crate) const fn max_inline(page: usize) -> usize {
    page / 4 - 16
}

/// The longest key, in bytes: 1000 in a page of 4096 bytes, never above 1024. A reference to overflow pages
/// always fits besides it.
pub(crate) const fn max_key(page: usize) -> usize {
    let key = max_inline(page) - OVERFLOW_REF;
    if key < 1024 { key } else { 1024 }
}

/// Whether a leaf keeps a value of `value_len` bytes itself; otherwise it goes to overflow pages.
pub(crate) const fn is_inline(page: usize, key_len: usize, value_len: usize) -> bool {
    key_len + value_len <= max_inline(page)
}

/// The largest cell of any node, with its slot.
pub(crate) const fn max_cell(page: usize) -> usize {
    SLOT + LEAF_CELL + max_inline(page)
}

const fn splits_always_make_room(page: usize) -> bool {
    let (c, k, m) = (capacity(page), max_key(page), max_cell(page));
    let first_child = SLOT + INNER_CELL;
    let separator = SLOT + INNER_CELL + k;
    2 * k + m + first_child <= c && 2 * k + 2 * m <= c && separator <= m && 3 * k + 2 * first_child + m <= c
}

const _: () = {
    let mut page = 256;
    while page <= 32768 {
        assert!(splits_always_make_room(page));
        page += 64;
    }
};
