//! Splits: the chosen points, and the proof that they always make room, put to the test at its worst cases.

use super::*;

/// Splits for a pending cell, applies the operations, inserts the cell, and checks that nothing is lost.
/// Returns the halves.
pub(super) fn split_and_insert<const PAGE: usize>(
    page: &Page<PAGE>,
    key: &[u8],
    value: Value<'_>,
    ascending: bool,
) -> [Page<PAGE>; 2] {
    let split = split_leaf(page, key, value.stored_len(), ascending);
    let mut right = Twin::new(&right_half(page, split.at, &split.separator));
    let mut left = Twin::new(page);
    left.apply(Op::Truncate { slots: split.at as u16, high: &split.separator }).unwrap();
    assert_eq!(left.page.high_fence(), Some(right.page.low_fence()));
    assert_eq!([cells_of(&left.page), cells_of(&right.page)].concat(), cells_of(page));

    let side = if key < &split.separator[..] { &mut left } else { &mut right };
    assert!(side.page.covers(key));
    match side.page.search(key) {
        Ok(slot) => side.apply(Op::Update { slot: slot as u16, value }),
        Err(slot) => {
            let suffix = side.page.without_prefix(key);
            side.apply(Op::Insert { slot: slot as u16, suffix, value })
        }
    }
    .expect("the side that takes the pending cell has room for it");
    [left.page, right.page]
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
            let [left, right] = split_and_insert(&page, &key, Value::Inline(&[1; 10]), true);
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
    let [left, right] = split_and_insert(&page, b"user-1002", Value::Inline(&[0; 30]), true);
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
        let halves = split_and_insert(&page, key, Value::Inline(&[9; 47]), false);
        assert_eq!(halves.iter().map(Page::count).sum::<usize>(), 5);
    }
}

/// Keys that share all but their last byte, or nothing, of maximum or minimum length, with values of maximum
/// or minimum size, between fences of every length: every full leaf of these splits for every pending cell.
fn worst_cases_split<const PAGE: usize>() {
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
    let mut tried = 0;
    for (low, high) in &fences {
        // Each key is absent, there with a small, a middling or a large value: two bits of a number.
        for seed in 0..8000u64 {
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
            for family in [b'd', b'h', b'p'] {
                let key = long(family, 2);
                let value = vec![1; max_inline(PAGE) - key.len()];
                if !page.fits_insert(page.without_prefix(&key).len(), value.len()) {
                    split_and_insert(&page, &key, Value::Inline(&value), tried % 2 == 0);
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 1000, "{tried} full leaves tried");
}

#[test]
fn every_full_leaf_of_small_pages_splits() {
    worst_cases_split::<256>();
}

#[test]
fn every_full_leaf_of_pages_of_512_bytes_splits() {
    worst_cases_split::<512>();
}

#[test]
fn every_full_leaf_of_pages_of_4096_bytes_splits() {
    worst_cases_split::<4096>();
}

#[test]
fn inner_node_splits_with_room_for_any_separator_on_both_sides() {
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
            let (at, separator) = split_inner(&page);
            let right = right_half(&page, at, &separator);
            let mut left = Twin::new(&page);
            left.apply(Op::Truncate { slots: at as u16, high: &separator }).unwrap();
            assert_valid(&right);
            assert!(
                left.page.count() >= 1
                    && right.count() >= 1
                    && left.page.count() + right.count() == page.count()
            );
            for side in [&left.page, &right] {
                assert!(side.fits_insert(longest - side.prefix().len(), 0));
            }
            assert_eq!(key_of(&right, 0), key_of(&page, at));
            assert_eq!(right.child(0), page.child(at));
        }
    }
}
