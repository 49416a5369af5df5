//! The slotted page and its redo operations.
//!
//! Every page of a partition's file has the same header; what lies behind it depends on its [`Kind`]. Inner
//! nodes and leaves are *slotted*: an array of slots grows up from the header, a heap of cells and of both
//! fences grows down from the page's end.
//!
//! ```text
//! 0                40                                heap_start                        PAGE
//! +----------------+--------+--------+---> hole <---+-----------+-----------+-------------+
//! | header         | slot 0 | slot 1 |              | cell of 1 | cell of 0 | fences      |
//! +----------------+--------+--------+--------------+-----------+-----------+-------------+
//!                    |        `--------------------^              ^
//!                    `--------------------------------------------'
//!
//! header  checksum u32 | page id u32 | lsn u64 | kind u8 | level u8 | slots u16 | heap_start u16
//!         | garbage u16 | prefix_len u16 | low_len u16 | high_len u16 | low_off u16 | high_off u16
//!         | skip u16 | last_insert u16 | run u16
//! slot    head u32 (four bytes of the suffix behind `skip`, as an integer of the same order)
//!         | offset u16 | suffix_len u16
//! cell    leaf:  value_len u16 (top bit: overflow) | suffix | value, or total_len u32 and first page id u32
//!         inner: child u32 | suffix
//! ```
//!
//! All integers are little endian. A node covers the keys of `[low, high)`; its keys are stored without the
//! prefix that both fences share. Slot `i` of an inner node bears the LOWER bound of child `i`; slot 0 bears
//! no key and stands for the low fence. All suffixes begin with the same `skip` bytes: see [`heads`]. Where
//! the last insert went, and how many went on from each other, is told by `last_insert` and `run`: see
//! [`run`].
//!
//! Nothing but [`Op::apply`] changes a page, in the foreground as in recovery. It checks all that it is
//! given, so that a page that passed [`Page::verify`] passes it again after any sequence of operations, and
//! no accessor of such a page panics for a slot below its count.
//!
//! The layout follows Graefe's survey "Modern B-Tree Techniques" (fence keys, prefix and suffix truncation,
//! poor man's normalized keys: the heads) and LeanStore's B-tree node.

#![forbid(unsafe_code)]

mod apply;
mod build;
mod codec;
mod edit;
mod error;
mod heads;
mod layout;
pub(crate) mod limits;
mod meta;
mod node;
mod op;
mod overflow;
mod record;
mod run;
mod space;
mod split;
#[cfg(all(test, not(feature = "loom")))]
mod tests;
mod verify;

pub(crate) use build::{NodeBuilder, image, merged, right_half};
pub(crate) use error::{ApplyError, DecodeError, Flaw, MetaError, PageError};
pub(crate) use layout::{HEADER, Kind, Page, PageId, Value};
pub(crate) use meta::Meta;
pub(crate) use op::Op;
pub(crate) use overflow::overflow_capacity;
pub(crate) use record::{Record, RecordWriter};
pub(crate) use space::{Location, space_capacity};
pub(crate) use split::{split_before, split_inner, split_leaf};
