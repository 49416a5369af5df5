//! Splits: the chosen points, and the proof that they make room in the end, put to the test at its worst cases.

use super::*;

/// Splits of one leaf that have to be enough for any pending cell.
const MANY: usize = 8;

/// Splits once for a pending cell, and checks that nothing is lost. Returns the halves.
fn split_once<const PAGE: usize>(page: &Page<PAGE>, split: &LeafSplit) -> [Twin<PAGE>; 2] {
    let right = Twin::new(&right_half(page, split.at, &split.separator));
    let mut left = Twin::new(page);
    left.apply(Op::Truncate { slots: split.at as u16, high: &split.separator }).unwrap();
    assert_eq!(left.page.high_fence(), Some(right.page.low_fence()));
    assert_eq!([cells_of(&left.page), cells_of(&right.page)].concat(), cells_of(page));
    [left, right]
}

/// Puts a key and its value into the leaf that covers it, if it has room.
fn try_put<const PAGE: usize>(leaf: &mut Twin<PAGE>, key: &[u8], value: Value<'_>) -> bool {
    assert!(leaf.page.covers(key));
    let suffix = &key[leaf.page.prefix().len()..];
    let (fits, op) = match leaf.page.search(key) {
        Ok(slot) => {
            (leaf.page.fits_update(slot, value.stored_len()), Op::Update { slot: slot as u16, value })
        }
        Err(slot) => {
            let fits = leaf.page.fits_insert(suffix.len(), value.stored_len());
            (fits, Op::Insert { slot: slot as u16, suffix, value })
        }
    };
    assert_eq!(leaf.apply(op), if fits { Ok(()) } else { Err(ApplyError::NoRoom) });
    fits
}

/// Splits for a pending cell, again and again until the side that takes it has room, and inserts it. Returns
/// what the leaf became.
pub(super) fn split_and_insert<const PAGE: usize>(
    page: &Page<PAGE>,
    key: &[u8],
    value: Value<'_>,
    ascending: bool,
) -> Vec<Page<PAGE>> {
    let (mut pages, mut at) = (vec![page.clone()], 0);
    for _ in 0..MANY {
        let split = split_leaf(&pages[at], key, value.stored_len(), ascending);
        let mut halves = split_once(&pages[at], &split);
        let side = usize::from(key >= &split.separator[..]);
        let done = try_put(&mut halves[side], key, value);
        pages.splice(at..=at, halves.map(|half| half.page));
        if done {
            return pages;
        }
        at += side;
    }
    panic!("{MANY} splits did not make room");
}

/// As [`split_and_insert`], where one split makes room.
fn split_once_and_insert<const PAGE: usize>(
    page: &Page<PAGE>,
    key: &[u8],
    value: Value<'_>,
    ascending: bool,
) -> [Page<PAGE>; 2] {
    split_and_insert(page, key, value, ascending).try_into().expect("one split is enough")
}

#[test]
fn separator_is_the_shortest_between_both_halves() {
    let cells: [(&[u8], &[u8]); 4] =
        [(b"apple", &[0; 43]), (b"apricot", &[0; 30]), (b"banana", &[0; 30]), (b"blueberry", &[0; 30])];
    let page = leaf::<256>(b"a", None, &cells);
    let split = split_leaf(&page, b"cherry", 40, false);
    assert_eq!((split.at, &split.separator[..]), (2, &b"b"[..]));
    // The pending key counts, on the side where it will be.
    let split = split_leaf(&page, b"az", 40, false);
    assert_eq!((split.at, &split.separator[..]), (2, &b"az"[..]));
}

#[test]
fn ascending_run_at_the_end_leaves_full_nodes() {
    let mut page = leaf::<256>(b"", None, &[]);
    let mut left_behind = Vec::new();
    for n in 0..40u32 {
        let key = format!("key-{n:04}").into_bytes();
        if page.fits_insert(key.len() - page.prefix().len(), 10) {
            let suffix = page.without_prefix(&key).to_vec();
            let slot = page.count() as u16;
            Op::Insert { slot, suffix: &suffix, value: Value::Inline(&[1; 10]) }.apply(&mut page).unwrap();
        } else {
            let [left, right] = split_once_and_insert(&page, &key, Value::Inline(&[1; 10]), true);
            left_behind.push(left.count());
            assert_eq!(right.count(), 1);
            page = right;
        }
    }
    assert!(left_behind.len() >= 5 && left_behind.iter().all(|&count| count >= 6), "{left_behind:?}");
}

#[test]
fn ascending_run_in_the_middle_continues_left_of_what_lies_above() {
    let cells: [(&[u8], &[u8]); 4] = [
        (b"user-1000", &[0; 30]),
        (b"user-1001", &[0; 30]),
        (b"user-998", &[0; 30]),
        (b"user-999", &[0; 30]),
    ];
    let page = leaf::<256>(b"", None, &cells);
    let [left, right] = split_once_and_insert(&page, b"user-1002", Value::Inline(&[0; 30]), true);
    assert_eq!((left.count(), right.count()), (3, 2));
    assert_eq!(right.low_fence(), b"user-9");
    assert!(left.covers(b"user-1003"));
}

#[test]
fn update_that_does_not_fit_splits_as_well() {
    let cells: [(&[u8], &[u8]); 5] =
        [(b"a", &[0; 32]), (b"b", &[0; 32]), (b"c", &[0; 32]), (b"d", &[0; 32]), (b"e", &[0; 32])];
    let page = leaf::<256>(b"", None, &cells);
    for key in [b"a", b"b", b"c", b"d", b"e"] {
        assert!(!page.fits_update(page.search(key).unwrap(), 47));
        let halves = split_once_and_insert(&page, key, Value::Inline(&[9; 47]), false);
        assert_eq!(halves.iter().map(Page::count).sum::<usize>(), 5);
    }
}

/// Keys that share all but their last byte, or nothing, of maximum or minimum length, with values of maximum
/// or minimum size, between fences of every length: every leaf of these splits for every pending cell, and,
/// where both halves fit, in front of every key. Returns how many were tried, and how many were split again.
fn worst_cases_split<const PAGE: usize>() -> (usize, usize) {
    let longest = max_key(PAGE);
    let long = |family: u8, last: u8| [&vec![family; longest - 1][..], &[last]].concat();
    let mut keys = Vec::new();
    for family in [b'd', b'h', b'p'] {
        keys.push(vec![family - 1]);
        keys.extend([1, 3, 5].map(|last| long(family, last)));
    }
    keys.sort();
    let fences: [(Vec<u8>, Option<Vec<u8>>); 5] = [
        (vec![], None),
        (long(b'a', 1), None),
        (long(b'a', 1), Some(b"z".to_vec())),
        (vec![], Some(long(b'x', 1))),
        (long(b'a', 1), Some(long(b'x', 1))),
    ];
    let (mut tried, mut again) = (0, 0);
    for (low, high) in &fences {
        // Each key is absent, there with a small, a middling or a large value: two bits of a number.
        for seed in 0..2000u64 {
            let choice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let mut page = leaf::<PAGE>(low, high.as_deref(), &[]);
            for (index, key) in keys.iter().enumerate() {
                let room = max_inline(PAGE) - key.len();
                let size = match choice >> (2 * index) & 3 {
                    0 => continue,
                    1 => 0,
                    2 => room / 2,
                    _ => room,
                };
                let (value, suffix) = (vec![0; size], page.without_prefix(key).to_vec());
                let insert =
                    Op::Insert { slot: page.count() as u16, suffix: &suffix, value: Value::Inline(&value) };
                let _ = insert.apply(&mut page);
            }
            for (family, last) in
                [b'd', b'h', b'p'].map(|family| [1, 2, 6].map(|last| (family, last))).concat()
            {
                let key = long(family, last);
                let value = vec![1; max_inline(PAGE) - key.len()];
                // Such leaves can be split, and batches do, even if they have room.
                if page.count() > 1 || page.count() == 1 && page.search(&key).is_err() {
                    let pages = split_and_insert(&page, &key, Value::Inline(&value), tried % 2 == 0);
                    tried += 1;
                    again += usize::from(pages.len() > 2);
                }
                match split_before(&page, &key) {
                    Some(split) => assert_eq!(split_once(&page, &split)[1].page.low_fence(), key),
                    None => assert!(page.count() > 1, "a leaf of one cell is split before any key"),
                }
            }
        }
    }
    (tried, again)
}

#[test]
fn every_leaf_of_small_pages_splits() {
    let (tried, again) = worst_cases_split::<256>();
    assert!(tried > 1000 && again > 0 && again < tried / 10, "{again} of {tried} leaves were split again");
}

#[test]
fn every_leaf_of_pages_of_512_bytes_splits() {
    let (tried, again) = worst_cases_split::<512>();
    assert!(tried > 1000 && again < tried / 10, "{again} of {tried} leaves were split again");
}

#[test]
fn every_leaf_of_pages_of_4096_bytes_splits() {
    let (tried, again) = worst_cases_split::<4096>();
    assert!(tried > 1000 && again < tried / 10, "{again} of {tried} leaves were split again");
}

#[test]
fn split_before_a_key_leaves_it_first_on_the_right() {
    let cells: [(&[u8], &[u8]); 4] = [(b"aa", b"1"), (b"ab", b"2"), (b"ba", b"3"), (b"bb", b"4")];
    let page = leaf::<256>(b"a", Some(b"c"), &cells);
    for (key, at) in [(&b"a\0"[..], 0), (b"aa", 0), (b"ab", 1), (b"abc", 2), (b"bb", 3), (b"bbb", 4)] {
        let split = split_before(&page, key).unwrap();
        assert_eq!(split, LeafSplit { at, separator: key.to_vec() });
        let [left, right] = split_once(&page, &split);
        assert!(right.page.covers(key) && !left.page.covers(key));
        assert_eq!((left.page.count(), right.page.count()), (at, 4 - at));
    }
}

#[test]
fn split_before_a_key_is_refused_where_a_half_does_not_fit() {
    let longest = max_key(256);
    // The cell below leaves no room for the key as a fence; as one of the upper half it would.
    let page = leaf::<256>(b"", None, &[(&vec![b'a'; longest], b""), (b"b", &[0; 60]), (b"c", &[0; 30])]);
    assert_eq!(page.free_bytes(), 33);
    assert_eq!(split_before(&page, &vec![b'd'; longest]), None);
    assert!(split_before(&page, &[b'd'; 33]).is_some());
    assert!(split_before(&page, &vec![b'b'; longest]).is_some());
}

/// Splits a node until every part has room for a separator of the maximum size; counts the splits.
pub(super) fn split_inner_until_room(page: &Page<256>) -> Vec<Twin<256>> {
    if page.fits_insert(max_key(256) - page.prefix().len(), 0) {
        return vec![Twin::new(page)];
    }
    let (at, separator) = split_inner(page);
    let right = right_half(page, at, &separator);
    let mut left = Twin::new(page);
    left.apply(Op::Truncate { slots: at as u16, high: &separator }).unwrap();
    assert_valid(&right);
    assert!(left.page.count() >= 1 && right.count() >= 1);
    assert_eq!(left.page.count() + right.count(), page.count());
    assert_eq!(left.page.high_fence(), Some(right.low_fence()));
    assert_eq!(key_of(&right, 0), key_of(page, at));
    assert_eq!(right.child(0), page.child(at));
    let mut parts = split_inner_until_room(&left.page);
    parts.extend(split_inner_until_room(&right));
    parts
}

#[test]
fn inner_node_splits_until_any_separator_has_room_everywhere() {
    let longest = max_key(256);
    for lens in
        [[longest, longest, 1], [1, longest, longest], [longest, 1, longest], [30, 30, 30], [1, 1, longest]]
    {
        for low in [vec![], vec![b'a'; longest]] {
            let mut builder = NodeBuilder::<256>::new(Kind::Inner, 1, &low, None);
            let mut page = None;
            for (index, len) in
                [vec![1], lens.to_vec(), lens.to_vec(), lens.to_vec()].concat().into_iter().enumerate()
            {
                builder.push_child(&vec![b'b' + index as u8; len], PageId(index as u32 + 2));
                // The builder keeps its first error: the last good node before it is a full one.
                let Ok(next) = builder.clone().finish() else { break };
                page = Some(next);
            }
            let page = page.unwrap();
            let parts = split_inner_until_room(&page);
            assert!(parts.len() > 1 && parts.len() <= MANY, "{} parts", parts.len());
            assert_eq!(parts.iter().map(|part| part.page.count()).sum::<usize>(), page.count());
        }
    }
}
