//! Damaged pages: whatever `verify` lets pass can be read and changed without a panic.

use proptest::prelude::*;

use super::*;

fn specimen(which: u8) -> Page<256> {
    match which {
        0 => leaf(b"", None, &[(b"", b"x"), (b"aaaa", b"1"), (b"aaaab", b"22"), (b"z", &[7; 20])]),
        1 => {
            let mut page =
                leaf(b"user-1", Some(b"user-2"), &[(b"user-1", b"a"), (b"user-15", b""), (b"user-1z", b"c")]);
            Op::Remove { slot: 0 }.apply(&mut page).unwrap();
            let value = Value::Overflow { len: 9999, first: PageId(3) };
            Op::Insert { slot: 1, suffix: b"16", value }.apply(&mut page).unwrap();
            page
        }
        2 => {
            let mut builder = NodeBuilder::new(Kind::Inner, 3, b"ka", Some(b"kz"));
            for (key, child) in [(&b"ka"[..], 5), (b"kb", 6), (b"kb\0", 7), (b"kccccccccc", 8)] {
                builder.push_child(key, PageId(child));
            }
            builder.finish().unwrap()
        }
        3 => Page::new_overflow(Some(PageId(4)), b"some data").unwrap(),
        4 => Page::new_space(),
        5 => {
            let mut builder = NodeBuilder::new(Kind::Inner, 1, b"", None);
            for (key, child) in [(&b""[..], 5), (b"user-1", 6), (b"user-1234567", 7), (b"user-2", 8)] {
                builder.push_child(key, PageId(child));
            }
            builder.finish().unwrap()
        }
        _ => Meta { partition: 1 }.page(),
    }
}

/// Calls every accessor of the page's kind.
fn read_all(page: &Page<256>) {
    match page.kind() {
        Kind::Leaf | Kind::Inner => {
            let (prefix, high) = (page.prefix().to_vec(), page.high_fence().map(<[u8]>::to_vec));
            let keys = [vec![], prefix, page.low_fence().to_vec(), high.unwrap_or_default(), vec![0xff; 50]];
            for key in keys.into_iter().chain((0..page.count()).map(|slot| key_of(page, slot))) {
                page.covers(&key);
                if page.kind() == Kind::Leaf {
                    assert!(page.search(&key).unwrap_or_else(|slot| slot) <= page.count());
                } else {
                    page.child(page.child_index(&key));
                }
            }
            for slot in 0..page.count() {
                page.suffix(slot);
                if page.kind() == Kind::Leaf {
                    page.value(slot);
                    page.is_ascending(slot);
                    page.fits_update(slot, 30);
                }
            }
            page.fits_insert(10, 10);
            assert!(page.used_bytes() + page.free_bytes() <= 256);
            split_all(page);
        }
        Kind::Overflow => drop((page.overflow_next(), page.overflow_data().to_vec())),
        Kind::Space => drop((page.is_set(0), page.is_set(1727))),
        Kind::Meta => drop(Meta::parse(page)),
        Kind::Free => {}
    }
    let mut copy = Page::<256>::zeroed();
    Op::Image { bytes: &image_of(page) }.apply(&mut copy).unwrap();
}

fn split_all(page: &Page<256>) {
    let halves = match page.kind() {
        Kind::Inner if page.count() > 1 => {
            let (at, separator) = split_inner(page);
            Some((at, separator))
        }
        Kind::Leaf => {
            let key = [page.low_fence(), b"\0"].concat();
            let legal = key.len() <= max_key(256) && page.covers(&key);
            let size = max_inline(256).saturating_sub(key.len());
            let full = legal && page.search(&key).is_err() && !page.fits_insert(key.len(), size);
            full.then(|| split_leaf(page, &key, size, false)).map(|split| (split.at, split.separator))
        }
        _ => None,
    };
    if let Some((at, separator)) = halves {
        let right = right_half(page, at, &separator);
        let mut left = page.clone();
        Op::Truncate { slots: at as u16, high: &separator }.apply(&mut left).unwrap();
        merged(&left, &right);
    }
}

fn any_op() -> impl Strategy<Value = (u8, u16, Vec<u8>, Vec<u8>)> {
    let key =
        proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'1'), Just(b'a')], 0..max_key(256) + 4);
    let slot = prop_oneof![0u16..6, any::<u16>()];
    (0u8..9, slot, key, proptest::collection::vec(any::<u8>(), 0..max_inline(256) + 4))
}

fn to_op<'a>((which, slot, key, bytes): &'a (u8, u16, Vec<u8>, Vec<u8>)) -> Op<'a> {
    let (slot, value) = (*slot, Value::Inline(bytes));
    match which {
        0 => Op::Insert { slot, suffix: key, value },
        1 => Op::Update { slot, value },
        2 => Op::Remove { slot },
        3 => Op::InsertChild { slot, suffix: key, child: PageId(9) },
        4 => Op::Truncate { slots: slot, high: key },
        5 => Op::Image { bytes },
        6 => Op::SetBits { pages: bytes },
        7 => Op::ClearBits { pages: bytes },
        _ => Op::Update { slot, value: Value::Overflow { len: 77, first: PageId(5) } },
    }
}

/// If the page passes `verify`, reads it, applies the operations, and sees that it still passes.
fn exercise(mut page: Page<256>, ops: &[(u8, u16, Vec<u8>, Vec<u8>)]) -> bool {
    page.seal();
    if page.verify(page.id()).is_err() {
        return false;
    }
    read_all(&page);
    for op in ops {
        let before = page.clone();
        if to_op(op).apply(&mut page).is_err() {
            assert!(page.bytes() == before.bytes());
        }
        assert_valid(&page);
        read_all(&page);
    }
    true
}

#[test]
fn every_changed_header_or_slot_byte_is_found_or_harmless() {
    let mut passed = 0;
    for which in 0..7 {
        for at in 16..120 {
            for byte in 0..=255 {
                let mut page = specimen(which);
                page.bytes_mut()[at] = byte;
                passed += usize::from(exercise(page, &[]));
            }
        }
    }
    assert!(passed > 1000);
}

#[test]
fn overlapping_cells_are_found() {
    let mut page = leaf::<256>(b"", None, &[(b"a", b"1"), (b"b", b"2")]);
    // Both slots point to one cell, and the heads agree with it.
    let first: [u8; 8] = *page.bytes()[HEADER..].first_chunk().unwrap();
    page.bytes_mut()[HEADER + 8..HEADER + 16].copy_from_slice(&first);
    page.seal();
    let flaw = Flaw::Overlap;
    assert_eq!(page.verify(PageId(0)), Err(PageError::Structure { page: PageId(0), flaw }));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn pages_with_changed_bytes_never_panic(
        which in 0u8..7,
        changes in proptest::collection::vec((16usize..256, any::<u8>()), 0..4),
        ops in proptest::collection::vec(any_op(), 0..8),
    ) {
        let mut page = specimen(which);
        for (at, byte) in changes {
            page.bytes_mut()[at] = byte;
        }
        exercise(page, &ops);
    }

    #[test]
    fn random_pages_and_images_never_panic(
        kind in 0u8..7,
        small in proptest::collection::vec(0u8..4, 256),
        random in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut page = Page::<256>::zeroed();
        page.bytes_mut().copy_from_slice(&small);
        page.bytes_mut()[16] = kind;
        exercise(page, &[]);
        let mut image = random;
        if let Some(first) = image.first_mut() {
            *first = kind;
        }
        let mut page = specimen(0);
        if (Op::Image { bytes: &image }).apply(&mut page).is_ok() {
            assert_valid(&page);
            read_all(&page);
        }
    }
}
