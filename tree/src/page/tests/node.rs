//! Nodes by hand: prefixes, fences, search, room.

use super::*;

type Small = Page<256>;

#[test]
fn keys_are_stored_without_the_prefix_of_both_fences() {
    let page: Small =
        leaf(b"user-1", Some(b"user-2"), &[(b"user-1", b"a"), (b"user-15", b""), (b"user-1z", b"c")]);
    assert_eq!(page.prefix(), b"user-");
    assert_eq!(page.suffix(0), b"1");
    assert_eq!(key_of(&page, 1), b"user-15");
    assert_eq!(page.value(1), Value::Inline(b""));
    assert_eq!(page.search(b"user-15"), Ok(1));
    assert_eq!(page.search(b"user-16"), Err(2));
    assert_valid(&page);
}

#[test]
fn infinite_high_fence_leaves_no_prefix_and_covers_all_above() {
    let page: Small = leaf(b"abc", None, &[(b"abc", b""), (b"\xff\xff\xff\xff\xff", b"")]);
    assert_eq!((page.prefix(), page.high_fence()), (&b""[..], None));
    assert!(page.covers(b"abc") && page.covers(&[0xff; 40]) && !page.covers(b"abb") && !page.covers(b""));
    assert_eq!(page.search(&[0xff; 5]), Ok(1));
    assert_valid(&page);
}

#[test]
fn low_fence_that_is_the_prefix_gives_an_empty_suffix() {
    let page: Small = leaf(b"ab", Some(b"abc"), &[(b"ab", b"empty"), (b"ab\0", b"zero"), (b"abb", b"b")]);
    assert_eq!(page.prefix(), b"ab");
    assert_eq!(page.suffix(0), b"");
    assert_eq!(page.search(b"ab"), Ok(0));
    assert_eq!(page.search(b"ab\0"), Ok(1));
    assert_eq!(page.search(b"ab\0\0"), Err(2));
    assert!(page.covers(b"abbbb") && !page.covers(b"abc") && !page.covers(b"a"));
    assert_valid(&page);
}

#[test]
fn equal_heads_are_told_apart_by_suffixes() {
    let keys: [&[u8]; 8] =
        [b"", b"\0", b"\0\0\0\0", b"\0\0\0\0\0", b"aaaa", b"aaaa\0", b"aaaaa", b"\xff\xff\xff\xff\xff"];
    let cells = keys.map(|key| (key, &b"v"[..]));
    let page: Small = leaf(b"", None, &cells);
    for (slot, key) in keys.iter().enumerate() {
        assert_eq!(page.search(key), Ok(slot));
    }
    assert_eq!(page.search(b"\0\0"), Err(2));
    assert_eq!(page.search(b"aaaa\0\0"), Err(6));
    assert_eq!(page.search(b"b"), Err(7));
}

#[test]
fn child_index_takes_slots_as_lower_bounds() {
    let mut builder = NodeBuilder::<256>::new(Kind::Inner, 1, b"k10", Some(b"k90"));
    for (key, child) in [(&b"k10"[..], 5), (b"k30", 6), (b"k30\0", 7), (b"k7", 8)] {
        builder.push_child(key, PageId(child));
    }
    let page = builder.finish().unwrap();
    let child_of = |key: &[u8]| page.child(page.child_index(key)).0;
    assert_eq!(
        [b"k10", b"k2\0", b"k30", b"k31", b"k69", b"k70", b"k8z"].map(|key| child_of(key)),
        [5, 5, 6, 7, 7, 8, 8]
    );
    assert_eq!(child_of(b"k7"), 8);
    assert_eq!(key_of(&page, 0), b"k10");
    assert_eq!(page.suffix(0), b"");
    assert_valid(&page);
}

#[test]
fn keys_outside_of_the_node_do_not_panic() {
    let page: Small = leaf(b"prefix-a", Some(b"prefix-b"), &[(b"prefix-a1", b"")]);
    for key in [&b""[..], b"p", b"prefix-", b"zzzzzzzzzzzzzz", &[0xff; 64]] {
        assert!(!page.covers(key));
        let _ = page.search(key);
        let _ = page.child_index(key);
    }
}

#[test]
fn operations_refuse_what_breaks_the_order() {
    let mut twin = Twin::new(&leaf::<256>(b"b", Some(b"d"), &[(b"b1", b"x"), (b"c1", b"y")]));
    let insert = |slot, suffix: &'static [u8]| Op::Insert { slot, suffix, value: Value::Inline(b"v") };
    for (slot, suffix) in
        [(0, &b"a9"[..]), (0, b"b1"), (1, b"b1"), (1, b"c2"), (2, b"c1"), (2, b"d"), (0, b"")]
    {
        assert_eq!(
            twin.apply(insert(slot, suffix)),
            Err(ApplyError::Order(slot.into())),
            "{slot} {suffix:?}"
        );
    }
    assert_eq!(twin.apply(insert(3, b"c2")), Err(ApplyError::NoSlot { slot: 3, count: 2 }));
    assert_eq!(twin.apply(Op::Remove { slot: 2 }), Err(ApplyError::NoSlot { slot: 2, count: 2 }));
    assert_eq!(twin.apply(insert(1, &[b'b'; max_key(256) + 1])), Err(ApplyError::TooLarge));
    assert_eq!(twin.apply(insert(1, &[b'b'; max_key(256)])), Ok(()));
    assert_eq!(twin.apply(insert(0, b"b")), Ok(()));
}

#[test]
fn operations_refuse_pages_of_another_kind() {
    let mut free = Page::<256>::zeroed();
    let insert = Op::Insert { slot: 0, suffix: b"", value: Value::Inline(b"") };
    let child = Op::InsertChild { slot: 1, suffix: b"k", child: PageId(9) };
    for op in [
        insert,
        child,
        Op::Remove { slot: 0 },
        Op::Truncate { slots: 0, high: b"x" },
        Op::SetBits { pages: &[] },
    ] {
        assert_eq!(op.apply(&mut free), Err(ApplyError::WrongKind(Kind::Free)));
    }
    let mut node = leaf::<256>(b"", None, &[]);
    assert_eq!(child.apply(&mut node), Err(ApplyError::WrongKind(Kind::Leaf)));
}

#[test]
fn inner_node_keeps_a_first_child_without_key() {
    let mut builder = NodeBuilder::<256>::new(Kind::Inner, 2, b"", None);
    builder.push_child(b"", PageId(5));
    builder.push_child(b"m", PageId(6));
    let mut twin = Twin::new(&builder.finish().unwrap());
    let child = |slot, suffix: &'static [u8]| Op::InsertChild { slot, suffix, child: PageId(7) };
    assert_eq!(twin.apply(child(0, b"")), Err(ApplyError::FirstChild));
    assert_eq!(twin.apply(child(1, b"")), Err(ApplyError::Order(1)));
    assert_eq!(twin.apply(child(1, b"c")), Ok(()));
    assert_eq!(twin.apply(Op::Remove { slot: 0 }), Ok(()));
    assert_eq!((twin.page.child(0), twin.page.suffix(0)), (PageId(7), &b""[..]));
    assert_eq!(twin.page.child(twin.page.child_index(b"a")), PageId(7));
    assert_eq!(twin.apply(Op::Remove { slot: 0 }), Ok(()));
    assert_eq!(twin.apply(Op::Remove { slot: 0 }), Err(ApplyError::FirstChild));
    assert_eq!(twin.apply(Op::Truncate { slots: 0, high: b"b" }), Err(ApplyError::FirstChild));
    assert_eq!(twin.page.used_bytes(), 12);
}

/// Fills a leaf to the last byte, then makes holes of every kind: the room is exactly what was told.
#[test]
fn room_is_used_to_the_last_byte() {
    let mut twin = Twin::new(&leaf::<256>(b"", None, &[]));
    for slot in 0..6 {
        let value = Value::Inline(&[1; 24]);
        assert_eq!(twin.apply(Op::Insert { slot, suffix: &[slot as u8, 0], value }), Ok(()));
    }
    assert_eq!(twin.page.free_bytes(), 0);
    assert_eq!(twin.page.used_bytes(), 216);
    assert!(!twin.page.fits_update(2, 25) && twin.page.fits_update(2, 24));
    assert_eq!(twin.apply(Op::Update { slot: 2, value: Value::Inline(&[2; 25]) }), Err(ApplyError::NoRoom));
    assert_eq!(twin.apply(Op::Update { slot: 4, value: Value::Inline(&[2; 23]) }), Ok(()));
    assert!(twin.page.fits_update(2, 25) && !twin.page.fits_update(2, 26));
    // Needs the old cell's own bytes and the garbage of another one.
    assert_eq!(twin.apply(Op::Update { slot: 2, value: Value::Inline(&[3; 25]) }), Ok(()));
    assert_eq!(twin.page.free_bytes(), 0);
    assert_eq!(twin.apply(Op::Remove { slot: 1 }), Ok(()));
    assert_eq!(twin.page.free_bytes(), 36);
    assert!(twin.page.fits_insert(2, 24) && !twin.page.fits_insert(2, 25));
    let insert = |len| Op::Insert { slot: 0, suffix: &[0], value: Value::Inline(&[9; 40][..len]) };
    assert_eq!(twin.apply(insert(26)), Err(ApplyError::NoRoom));
    assert_eq!(
        twin.apply(Op::Insert { slot: 1, suffix: &[0, 9], value: Value::Inline(&[9; 25]) }),
        Err(ApplyError::NoRoom)
    );
    assert_eq!(twin.apply(Op::Insert { slot: 1, suffix: &[0, 9], value: Value::Inline(&[9; 24]) }), Ok(()));
    assert_eq!(twin.page.free_bytes(), 0);
    assert_eq!(twin.page.value(3), Value::Inline(&[1; 24]));
    assert_eq!(twin.page.value(2), Value::Inline(&[3; 25]));
}

#[test]
fn update_of_the_topmost_cell_takes_over_its_bytes() {
    let mut twin = Twin::new(&leaf::<256>(b"", None, &[(b"a", b"1"), (b"bbbbbbbb", b"2")]));
    let free = twin.page.free_bytes();
    for len in 2..=38 {
        assert_eq!(twin.apply(Op::Update { slot: 1, value: Value::Inline(&[7; 40][..len]) }), Ok(()));
        assert_eq!(key_of(&twin.page, 1), b"bbbbbbbb");
        assert_eq!(twin.page.value(1), Value::Inline(&[7; 40][..len]));
        assert_eq!(twin.page.free_bytes(), free + 1 - len);
        assert_eq!(twin.page.bytes()[22..24], [0, 0], "no garbage");
    }
    let reference = Value::Overflow { len: u32::MAX, first: PageId(u32::MAX) };
    assert_eq!(twin.apply(Op::Update { slot: 1, value: reference }), Ok(()));
    assert_eq!(twin.page.value(1), reference);
    assert_eq!(twin.page.free_bytes(), free + 1 - 8);
}

#[test]
fn largest_page_keeps_its_offsets_in_16_bits() {
    let mut twin = Twin::new(&leaf::<32768>(b"", None, &[]));
    assert_eq!(twin.page.free_bytes(), 32768 - HEADER);
    const LARGE: usize = max_inline(32768) - 100;
    for slot in 0..31 {
        let value = Value::Inline(&[slot as u8; LARGE]);
        assert_eq!(twin.apply(Op::Insert { slot, suffix: &[slot as u8; 100], value }), Ok(()));
    }
    assert!(!twin.page.fits_insert(100, LARGE));
    assert_eq!(twin.page.search(&[2; 100]), Ok(2));
    assert_eq!(twin.apply(Op::Remove { slot: 0 }), Ok(()));
    assert_eq!(twin.apply(Op::Insert { slot: 30, suffix: &[50], value: Value::Inline(&[5; LARGE]) }), Ok(()));
    assert_eq!(twin.page.value(30), Value::Inline(&[5; LARGE]));
    assert_eq!(twin.page.value(0), Value::Inline(&[1; LARGE]));
}

#[test]
fn builder_reports_the_first_thing_wrong() {
    let mut out_of_order = NodeBuilder::<256>::new(Kind::Leaf, 0, b"a", Some(b"c"));
    out_of_order.push_leaf(b"b", Value::Inline(b""));
    out_of_order.push_leaf(b"b", Value::Inline(b""));
    out_of_order.push_leaf(b"zzz", Value::Inline(b""));
    assert_eq!(out_of_order.finish().unwrap_err(), ApplyError::Order(1));
    let mut outside = NodeBuilder::<256>::new(Kind::Leaf, 0, b"prefix1", Some(b"prefix2"));
    outside.push_leaf(b"pre", Value::Inline(b""));
    assert_eq!(outside.finish().unwrap_err(), ApplyError::Order(0));
    let childless = NodeBuilder::<256>::new(Kind::Inner, 1, b"", None);
    assert_eq!(childless.finish().unwrap_err(), ApplyError::FirstChild);
    for fences in [
        (&b"b"[..], &b"a"[..]),
        (b"a", b"a"),
        (b"a", b""),
        (&[1; max_key(256) + 1], &[2]),
        (&[1], &[2; max_key(256) + 1]),
    ] {
        let builder = NodeBuilder::<256>::new(Kind::Leaf, 0, fences.0, Some(fences.1));
        assert_eq!(builder.finish().unwrap_err(), ApplyError::Fences);
    }
    let mut mixed = NodeBuilder::<256>::new(Kind::Leaf, 0, b"", None);
    mixed.push_child(b"", PageId(2));
    assert_eq!(mixed.finish().unwrap_err(), ApplyError::WrongKind(Kind::Leaf));
    assert!(NodeBuilder::<256>::new(Kind::Leaf, 1, b"", None).finish().is_err());
    assert!(NodeBuilder::<256>::new(Kind::Space, 0, b"", None).finish().is_err());
}

#[test]
fn merge_needs_neighbours_that_fit() {
    let left = leaf::<256>(b"aa", Some(b"ab"), &[(b"aa1", b"1"), (b"aa2", b"2")]);
    let right = leaf::<256>(b"ab", Some(b"b"), &[(b"ab", b"3"), (b"az", b"4")]);
    let both = merged(&left, &right).unwrap();
    assert_eq!((both.low_fence(), both.high_fence(), both.prefix()), (&b"aa"[..], Some(&b"b"[..]), &b""[..]));
    assert_eq!(cells_of(&both), [cells_of(&left), cells_of(&right)].concat());
    assert_valid(&both);
    assert!(merged(&right, &left).is_none());
    let distant = leaf::<256>(b"c", None, &[]);
    assert!(merged(&left, &distant).is_none());
    let large = leaf::<256>(b"ab", Some(b"b"), &[(b"ab", &[0; 46]), (b"ac", &[0; 46]), (b"ad", &[0; 46])]);
    let left = leaf::<256>(b"aa", Some(b"ab"), &[(b"aa", &[0; 28])]);
    assert!(merged(&left, &large).is_none());
}
