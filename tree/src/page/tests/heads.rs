//! Heads that skip what all suffixes share.

use proptest::prelude::*;

use super::*;

fn inner(high: Option<&[u8]>, bounds: &[&[u8]]) -> Page<256> {
    let mut builder = NodeBuilder::new(Kind::Inner, 1, b"", high);
    builder.push_child(b"", PageId(2));
    for (index, bound) in bounds.iter().enumerate() {
        builder.push_child(bound, PageId(index as u32 + 3));
    }
    builder.finish().unwrap()
}

fn put(twin: &mut Twin<256>, key: &[u8]) {
    let slot = twin.page.search(key).unwrap_err() as u16;
    let suffix = &key[twin.page.prefix().len()..];
    twin.apply(Op::Insert { slot, suffix, value: Value::Inline(b"") }).unwrap();
    assert_eq!(twin.page.search(key), Ok(slot.into()));
}

#[test]
fn built_nodes_skip_all_that_their_keys_share() {
    let page = leaf::<256>(b"", None, &[(b"user-1000", b""), (b"user-1001", b""), (b"user-1010", b"")]);
    assert_eq!((page.prefix().len(), page.skip()), (0, 7));
    let page = inner(None, &[b"user-1", b"user-12", b"user-13"]);
    assert_eq!(page.skip(), 6);
    let page = leaf::<256>(b"user-1", Some(b"user-3"), &[(b"user-15", b""), (b"user-16", b"")]);
    assert_eq!((page.prefix(), page.skip()), (&b"user-"[..], 1));
    assert_eq!(leaf::<256>(b"", None, &[(b"", b""), (b"user", b"")]).skip(), 0);
    assert_eq!(leaf::<256>(b"", None, &[(b"alone", b"")]).skip(), 5);
    assert_eq!((leaf::<256>(b"", None, &[]).skip(), inner(None, &[]).skip()), (0, 0));
}

#[test]
fn keys_that_lack_the_shared_bytes_are_before_or_behind_all() {
    let page = leaf::<256>(b"", None, &[(b"user-1000", b""), (b"user-1001", b"")]);
    for (key, slot) in [
        (&b""[..], 0),
        (b"user", 0),
        (b"tzzz-1000", 0),
        (b"user-100", 0),
        (b"user-0999", 0),
        (b"user-10000", 1),
        (b"user-1001\0", 2),
        (b"user-101", 2),
        (b"user.", 2),
        (b"v", 2),
    ] {
        assert_eq!(page.search(key), Err(slot), "{key:?}");
    }
    let page = inner(None, &[b"user-1000", b"user-1001"]);
    for (key, child) in [(&b"user-100"[..], 0), (b"a", 0), (b"user-1000", 1), (b"user-10009", 1), (b"v", 2)] {
        assert_eq!(page.child_index(key), child, "{key:?}");
    }
}

#[test]
fn insert_that_shares_less_lowers_the_skip() {
    let mut twin = Twin::new(&leaf::<256>(b"", None, &[]));
    let expected = [(&b"user-1000"[..], 9), (b"user-1001", 8), (b"user-10", 7), (b"user-2", 5), (b"v", 0)];
    for (key, skip) in expected {
        put(&mut twin, key);
        assert_eq!(twin.page.skip(), skip, "{key:?}");
    }
    for (key, _) in expected {
        assert!(twin.page.search(key).is_ok());
    }
    let mut node = Twin::new(&inner(None, &[]));
    for (slot, suffix, skip) in [(1, &b"user-1"[..], 6), (1, b"user-", 5), (3, b"z", 0)] {
        node.apply(Op::InsertChild { slot, suffix, child: PageId(9) }).unwrap();
        assert_eq!(node.page.skip(), skip);
    }
}

#[test]
fn compaction_and_truncation_raise_the_skip_again() {
    let cells: [(&[u8], &[u8]); 4] =
        [(b"a", &[0; 50]), (b"user-1", &[0; 30]), (b"user-2", &[0; 30]), (b"v", &[0; 30])];
    let page = leaf::<256>(b"", None, &cells);
    let mut left = Twin::new(&page);
    left.apply(Op::Truncate { slots: 1, high: b"user-0" }).unwrap();
    assert_eq!(left.page.skip(), 1);
    for larger_value in [false, true] {
        let mut twin = Twin::new(&page);
        twin.apply(Op::Remove { slot: 0 }).unwrap();
        twin.apply(Op::Remove { slot: 2 }).unwrap();
        assert_eq!(twin.page.skip(), 0);
        let value = Value::Inline(&[1; 60]);
        if larger_value {
            twin.apply(Op::Update { slot: 0, value }).unwrap();
            twin.apply(Op::Update { slot: 1, value: Value::Inline(&[1; 50]) }).unwrap();
        } else {
            twin.apply(Op::Insert { slot: 1, suffix: b"user-15", value }).unwrap();
        }
        assert_eq!(twin.page.skip(), 5, "{larger_value}");
        assert_eq!(twin.page.search(b"user-2"), Ok(twin.page.count() - 1));
    }
}

#[test]
fn node_that_loses_its_keys_skips_nothing() {
    let mut twin = Twin::new(&leaf::<256>(b"", None, &[(b"user-1", b""), (b"user-2", b"")]));
    twin.apply(Op::Remove { slot: 1 }).unwrap();
    assert_eq!(twin.page.skip(), 5);
    twin.apply(Op::Remove { slot: 0 }).unwrap();
    assert_eq!((twin.page.skip(), twin.page.search(b"user-1")), (0, Err(0)));
    for slot in [0, 1] {
        let mut node = Twin::new(&inner(None, &[b"user-1"]));
        node.apply(Op::Remove { slot }).unwrap();
        assert_eq!((node.page.skip(), node.page.child_index(b"user-1")), (0, 0));
    }
}

#[test]
fn skip_that_the_keys_do_not_share_is_found() {
    let mut page = leaf::<256>(b"", None, &[(b"user-1", b""), (b"user-1\0", b"")]);
    assert_eq!(page.skip(), 6);
    // The heads are zero, and would be so behind more bytes, too.
    page.bytes_mut()[34] = 7;
    page.seal();
    let flaw = Flaw::Skip(7);
    assert_eq!(page.verify(PageId(0)), Err(PageError::Structure { page: PageId(0), flaw }));
    page.bytes_mut()[34] = 5;
    page.seal();
    let flaw = Flaw::Head(0);
    assert_eq!(page.verify(PageId(0)), Err(PageError::Structure { page: PageId(0), flaw }));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn search_is_that_of_the_sorted_keys(
        stem in proptest::collection::vec(b'a'..b'd', 0..8),
        tails in proptest::collection::btree_set(proptest::collection::vec(b'a'..b'd', 0..7), 0..6),
        removed in any::<proptest::sample::Index>(),
        wanted in proptest::collection::vec((0usize..9, proptest::collection::vec(b'`'..b'f', 0..7)), 1..20),
    ) {
        let mut keys: Vec<_> = tails.iter().map(|tail| [&stem[..], tail].concat()).collect();
        let bounds: Vec<_> = keys.iter().map(Vec::as_slice).filter(|key| !key.is_empty()).collect();
        let mut node = Twin::new(&inner(None, &bounds));
        let mut bounds: Vec<_> = [&b""[..]].into_iter().chain(bounds).map(<[u8]>::to_vec).collect();
        let mut leaf = Twin::new(&leaf::<256>(b"", None, &[]));
        for key in &keys {
            put(&mut leaf, key);
        }
        if !keys.is_empty() {
            let slot = removed.index(keys.len());
            keys.remove(slot);
            leaf.apply(Op::Remove { slot: slot as u16 }).unwrap();
        }
        if bounds.len() > 2 {
            let slot = 1 + removed.index(bounds.len() - 1);
            bounds.remove(slot);
            node.apply(Op::Remove { slot: slot as u16 }).unwrap();
        }
        for (cut, tail) in wanted {
            let key = [&stem[..cut.min(stem.len())], &tail].concat();
            assert_eq!(leaf.page.search(&key), keys.binary_search(&key));
            assert_eq!(node.page.child_index(&key), bounds.partition_point(|bound| *bound <= key) - 1);
        }
    }
}
