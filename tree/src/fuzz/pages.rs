//! One page: read, searched, changed, split and merged.

use std::sync::OnceLock;

use super::{TINY, take};
use crate::page::limits::{OVERFLOW_REF, is_inline, max_inline, max_key};
use crate::page::{
    Kind, Location, Meta, NodeBuilder, Op, Page, PageId, Record, Value, image, merged, overflow_capacity,
    right_half, space_capacity, split_before, split_inner, split_leaf,
};

/// Keys of a node that are tried, at most: a large page has hundreds.
const PROBES: usize = 24;

/// The bytes of a page, of 4 KiB if they are more than 1 KiB and of 256 bytes otherwise, and behind them a key
/// to look for. The page is verified as it is, and again with its checksum made right. If it passes then,
/// nothing that trees do with it panics, and leads to pages that pass.
pub fn page(data: &[u8]) {
    if data.len() > 1024 { one_page::<4096>(data) } else { one_page::<TINY>(data) }
}

fn one_page<const PAGE: usize>(data: &[u8]) {
    let mut page = Page::<PAGE>::zeroed();
    let (bytes, key) = data.split_at(data.len().min(PAGE));
    page.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
    let _ = (page.verify(page.id()), Meta::parse(&page));
    page.seal();
    let _ = Meta::parse(&page);
    if page.verify(page.id()).is_err() {
        return;
    }
    match page.kind() {
        Kind::Leaf => leaf(&page, key),
        Kind::Inner => inner(&page, key),
        Kind::Overflow => {
            let _ = page.overflow_next();
            assert!(page.overflow_data().len() <= overflow_capacity(PAGE));
        }
        Kind::Space => {
            let set = (0..space_capacity(PAGE)).filter(|&position| page.is_set(position as u16));
            let _ = set
                .filter_map(|position| Location { group: 7, position: position as u16 }.page::<PAGE>())
                .count();
        }
        Kind::Free | Kind::Meta => {}
    }
    let (written, mut copy) = (image_of(&page), Page::<PAGE>::zeroed());
    Op::Image { bytes: &written }.apply(&mut copy).expect("an image of a sound page is one");
    assert_eq!(image_of(&copy), written);
}

fn image_of<const PAGE: usize>(page: &Page<PAGE>) -> Vec<u8> {
    let mut bytes = Vec::new();
    image(page, &mut bytes);
    bytes
}

fn keys_of<const PAGE: usize>(page: &Page<PAGE>) -> Vec<Vec<u8>> {
    let key_of = |slot| {
        let mut key = Vec::new();
        page.copy_key(slot, &mut key);
        key
    };
    (0..page.count()).map(key_of).collect()
}

/// Keys at, beside and between those of a node.
fn probes<const PAGE: usize>(page: &Page<PAGE>, key: &[u8]) -> Vec<Vec<u8>> {
    let keys = keys_of(page);
    let beside =
        keys.iter().flat_map(|key| [key.clone(), [key, &[0][..]].concat(), [key, &[0xff][..]].concat()]);
    let given = [key.to_vec(), page.low_fence().to_vec(), [page.prefix(), key].concat()];
    let legal = |key: &Vec<u8>| (1..=max_key(PAGE)).contains(&key.len()) && page.covers(key);
    given.into_iter().chain(beside).filter(legal).take(PROBES).collect()
}

fn leaf<const PAGE: usize>(page: &Page<PAGE>, key: &[u8]) {
    let keys = keys_of(page);
    for (slot, key) in keys.iter().enumerate() {
        assert_eq!(page.search(key), Ok(slot));
        assert!(page.covers(key));
        let _ = (page.value(slot), page.is_ascending(slot));
    }
    for key in probes(page, key) {
        for len in [0, OVERFLOW_REF, max_inline(PAGE) - key.len()] {
            if is_inline(PAGE, key.len(), len) {
                put(page, &key, &vec![7; len]);
            }
        }
        put_value(page, &key, Value::Overflow { len: 5, first: PageId(9) });
        if page.count() > 1
            && key > page.low_fence().to_vec()
            && let Some(split) = split_before(page, &key)
        {
            halves(page, split.at, &split.separator);
        }
    }
    remove_all(page);
}

fn put<const PAGE: usize>(page: &Page<PAGE>, key: &[u8], value: &[u8]) {
    put_value(page, key, Value::Inline(value));
}

/// Puts the value, if there is room; else there is a way to split the leaf.
fn put_value<const PAGE: usize>(page: &Page<PAGE>, key: &[u8], value: Value<'_>) {
    let suffix = page.without_prefix(key);
    let place = page.search(key);
    let (fits, op) = match place {
        Ok(slot) => (page.fits_update(slot, value.stored_len()), Op::Update { slot: slot as u16, value }),
        Err(slot) => (
            page.fits_insert(suffix.len(), value.stored_len()),
            Op::Insert { slot: slot as u16, suffix, value },
        ),
    };
    if fits {
        let changed = changed(page, &op);
        let slot = changed.search(key).expect("it was just put there");
        assert_eq!(changed.value(slot), value);
    } else {
        for ascending in [false, true] {
            let split = split_leaf(page, key, value.stored_len(), ascending);
            halves(page, split.at, &split.separator);
        }
    }
}

fn inner<const PAGE: usize>(page: &Page<PAGE>, key: &[u8]) {
    for (slot, key) in keys_of(page).iter().enumerate() {
        assert_eq!(page.child_index(key), slot);
        let _ = page.child(slot);
    }
    for key in probes(page, key) {
        let slot = page.child_index(&key);
        let suffix = page.without_prefix(&key);
        let mut at_slot = Vec::new();
        page.copy_key(slot, &mut at_slot);
        if at_slot != key && page.fits_insert(suffix.len(), 0) {
            let op = Op::InsertChild { slot: slot as u16 + 1, suffix, child: PageId(9) };
            assert_eq!(changed(page, &op).child_index(&key), slot + 1);
        }
    }
    if page.count() > 1 {
        let (at, separator) = split_inner(page);
        halves(page, at, &separator);
    } else {
        assert!(page.fits_insert(max_key(PAGE), 0), "there is room besides one child");
    }
    remove_all(page);
}

/// Splits a node, and merges the halves again.
fn halves<const PAGE: usize>(page: &Page<PAGE>, at: usize, separator: &[u8]) {
    let right = sound(right_half(page, at, separator));
    let left = changed(page, &Op::Truncate { slots: at as u16, high: separator });
    let whole = merged(&left, &right).map(sound).expect("both were one page before");
    let same = |slot| match page.kind() {
        Kind::Inner => page.child(slot) == whole.child(slot),
        _ => page.value(slot) == whole.value(slot),
    };
    assert!(keys_of(&whole) == keys_of(page) && (0..page.count()).all(same));
}

fn remove_all<const PAGE: usize>(page: &Page<PAGE>) {
    let mut page = page.clone();
    let least = usize::from(page.kind() == Kind::Inner);
    while page.count() > least {
        page = changed(&page, &Op::Remove { slot: (page.count() / 2) as u16 });
    }
}

fn changed<const PAGE: usize>(page: &Page<PAGE>, op: &Op<'_>) -> Page<PAGE> {
    let mut page = page.clone();
    op.apply(&mut page).unwrap_or_else(|error| panic!("{op:?} does not apply: {error}"));
    sound(page)
}

fn sound<const PAGE: usize>(mut page: Page<PAGE>) -> Page<PAGE> {
    page.seal();
    page.verify(page.id()).expect("operations lead from sound pages to sound pages");
    page
}

/// Operations on a sound page: `page u8 | operations as the log holds them`. One that applies leads to a sound page,
/// whoever applies it; one that does not, changes nothing.
pub fn op(data: &[u8]) {
    let ([chosen], mut input) = take::<1>(data);
    let pages = sound_pages();
    let mut page = pages[usize::from(chosen) % pages.len()].clone();
    let _ = Record::parse(input).map(|record| record.ops().count());
    while let Ok(op) = Op::decode(&mut input) {
        let mut encoded = Vec::new();
        op.encode(&mut encoded);
        assert_eq!(Op::decode(&mut &encoded[..]).ok(), Some(op));
        let (before, mut other) = (page.clone(), page.clone());
        match op.apply(&mut page) {
            Ok(()) => {
                op.apply(&mut other).expect("it has just been applied");
                assert!(page.bytes() == other.bytes(), "{op:?} is not the same twice");
                page = sound(page);
            }
            Err(_) => assert!(page.bytes() == before.bytes(), "{op:?} changed a page that it does not fit"),
        }
    }
}

/// A page of each kind, and a full, an empty and a bounded one of the nodes.
pub(super) fn sound_pages() -> &'static [Page<TINY>] {
    static PAGES: OnceLock<Vec<Page<TINY>>> = OnceLock::new();
    PAGES.get_or_init(|| {
        let keys: Vec<_> = (0..12_u8).map(|n| format!("user-{:02}", n * 7).into_bytes()).collect();
        let node = |kind, level, low: &[u8], high: Option<&[u8]>, keys: &[Vec<u8>]| {
            let mut builder = NodeBuilder::<TINY>::new(kind, level, low, high);
            for (key, n) in keys.iter().zip(0..) {
                match kind {
                    Kind::Inner => builder.push_child(key, PageId(10 + n)),
                    _ if n == 3 => builder.push_leaf(key, Value::Overflow { len: 300, first: PageId(n) }),
                    _ => builder.push_leaf(key, Value::Inline(&key[..n as usize % 5])),
                }
            }
            builder.finish().expect("so few keys fit")
        };
        let (low, high) = (&b"user-"[..], Some(&b"user-:"[..]));
        let mut pages = vec![
            node(Kind::Leaf, 0, low, high, &keys),
            node(Kind::Leaf, 0, b"", None, &keys[..6]),
            node(Kind::Leaf, 0, b"", None, &[]),
            node(Kind::Inner, 1, low, high, &keys),
            node(Kind::Inner, 2, b"", None, &keys[..2]),
            Page::new_space(),
            Page::new_overflow(Some(PageId(7)), &[5; 100]).expect("so few bytes fit"),
            Page::zeroed(),
        ];
        pages.iter_mut().for_each(Page::seal);
        pages
    })
}
