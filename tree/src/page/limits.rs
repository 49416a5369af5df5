//! How large keys and values may be, so that splits always make room in the end.
//!
//! Let `C` be the page without its header, `K` the longest key (and so the longest fence) and `M` the
//! largest cell of a leaf with its slot. Two claims rest on `2K + M <= C` and `3K + 24 <= C`:
//!
//! **One maximum cell fits besides two maximum fences**, and one maximum separator with its slot, `K + 12`,
//! besides them and the first child of an inner node. So a leaf without other cells has room for any, and an
//! inner node of one child has room for any separator.
//!
//! **A node of two or more cells can be split between any two of them.** Say that it holds `l + h + E <= C`
//! bytes of fences and cells, with `p` bytes of prefix, and is split before cell `j` by the separator `s`.
//! Prefixes only grow, so no cell does; and `p <= l`, `p <= h` (an infinite `h` leaves `p = 0`).
//! * The left half takes the fence `s` for `h`, for cell `j` and for those behind it. `s` is no longer than the
//!   key of `j`, which is `p` and the suffix in cell `j`: it takes no more than what went.
//! * The right half of a leaf takes the fence `s` for `l` and for the cells before `j`. `s` is at most one byte
//!   longer than the key of `j - 1`, which is `p` and its suffix, and that cell has ten bytes besides: it takes
//!   no more than what went. In an inner node `s` is the key of `j`, whose cell leaves its suffix to the fence:
//!   only `p` bytes are new, and they are no more than `l`.
//!
//! Where the pending key falls between both cells, they can be split on one side of it: of two neighbours
//! and a key between them, the key shares with one of them no more than the neighbours share with each other,
//! so that the separator there is as short as theirs. And a leaf of one cell is split between that and the
//! pending one, which leaves each half at most one cell and two fences.
//!
//! So a split that regards only what is there always succeeds, each one leaves less to the half that the
//! pending cell goes to, and at the latest a half without another cell has room for it. Nearly always the
//! first split is enough. It is not with large neighbours that share all but their last bytes: their
//! separator, as large as they are, is stored on both sides.

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

/// The longest key, in bytes: 1024, or less in small pages.
pub(crate) const fn max_key(page: usize) -> usize {
    let fitting = (capacity(page) - 2 * INNER_CELL - 2 * SLOT - OVERFLOW_REF) / 3;
    let quarter = page / 4;
    let key = if fitting < quarter { fitting } else { quarter };
    if key < 1024 { key } else { 1024 }
}

/// The largest sum of a key's and its value's bytes that a leaf keeps: a reference to overflow pages always
/// fits besides the longest key. What is larger goes to overflow pages.
pub(crate) const fn max_inline(page: usize) -> usize {
    max_key(page) + OVERFLOW_REF
}

/// Whether a leaf keeps a value of `value_len` bytes itself; otherwise it goes to overflow pages.
pub(crate) const fn is_inline(page: usize, key_len: usize, value_len: usize) -> bool {
    key_len + value_len <= max_inline(page)
}

/// The largest cell of any node, with its slot.
pub(crate) const fn max_cell(page: usize) -> usize {
    SLOT + LEAF_CELL + max_inline(page)
}

const fn splits_make_room_in_the_end(page: usize) -> bool {
    let (c, k, m) = (capacity(page), max_key(page), max_cell(page));
    let first_child = SLOT + INNER_CELL;
    2 * k + m <= c && 3 * k + 2 * first_child <= c
}

const _: () = {
    let mut page = 256;
    while page <= 32768 {
        assert!(splits_make_room_in_the_end(page));
        page += 64;
    }
};
