//! Ascending runs: known when they are there, and what they leave behind.

use super::*;

fn put<const PAGE: usize>(page: &mut Page<PAGE>, key: &[u8]) -> u16 {
    let slot = page.search(key).unwrap_err() as u16;
    let suffix = page.without_prefix(key);
    let suffix = suffix.to_vec();
    Op::Insert { slot, suffix: &suffix, value: Value::Inline(&[1; 16]) }.apply(page).unwrap();
    slot
}

/// A run of six in front of two keys.
fn after_a_run() -> Page<512> {
    let mut page = leaf::<512>(b"", None, &[(b"user-1", b""), (b"user-2", b""), (b"user-3", b"")]);
    for n in 10..16 {
        put(&mut page, format!("user-{n}").as_bytes());
    }
    page
}

#[test]
fn run_is_known_after_four_inserts_went_on() {
    let mut page = leaf::<512>(b"", None, &[(b"user-1", b""), (b"user-2", b"")]);
    put(&mut page, b"user-0");
    let known = (10..16).map(|n| {
        let slot = usize::from(put(&mut page, format!("user-{n}").as_bytes()));
        (page.is_ascending(slot + 1), page.is_ascending(slot), page.is_ascending(slot + 2))
    });
    let expected = [false, false, false, false, true, true].map(|known| (known, false, false));
    assert_eq!(known.collect::<Vec<_>>(), expected);
}

#[test]
fn insert_elsewhere_ends_a_run_and_other_changes_do_not() {
    let page = after_a_run();
    assert!(page.is_ascending(7));
    let mut elsewhere = page.clone();
    let slot = usize::from(put(&mut elsewhere, b"user-20"));
    assert!(!elsewhere.is_ascending(slot + 1));
    let mut twin = Twin::new(&page);
    twin.apply(Op::Update { slot: 8, value: Value::Inline(b"new") }).unwrap();
    twin.apply(Op::Remove { slot: 8 }).unwrap();
    assert!(twin.apply(Op::Insert { slot: 3, suffix: b"", value: Value::Inline(b"") }).is_err());
    assert!(twin.page.is_ascending(7));
}

#[test]
fn run_stays_with_its_page_in_images_and_goes_left_in_splits() {
    let page = after_a_run();
    assert!(Twin::new(&page).page.is_ascending(7));
    let truncated = |slots, high| {
        let mut left = Twin::new(&page);
        left.apply(Op::Truncate { slots, high }).unwrap();
        left.page
    };
    assert!(truncated(7, b"user-2").is_ascending(7));
    assert!(truncated(8, b"user-3").is_ascending(7));
    // The last insert was not into this half: it knows of no run, wherever the next one goes.
    let without = truncated(6, b"user-15");
    assert!((0..9).all(|slot| !without.is_ascending(slot)));
    assert!(!right_half(&page, 2, b"user-11").is_ascending(5));
}

#[test]
fn any_remembered_run_is_legal() {
    for (bytes, ascending) in [([255; 4], false), ([255, 255, 3, 0], false), ([0, 0, 4, 0], true)] {
        let mut page = leaf::<256>(b"", None, &[(b"a", b"")]);
        page.bytes_mut()[36..40].copy_from_slice(&bytes);
        assert_valid(&page);
        assert_eq!(page.is_ascending(1), ascending);
        let mut left = Twin::new(&page);
        left.apply(Op::Insert { slot: 1, suffix: b"b", value: Value::Inline(b"") }).unwrap();
        left.apply(Op::Truncate { slots: 0, high: b"a" }).unwrap();
    }
}

/// Puts the keys into a level of leaves, which are split as trees do. Returns how many leaves there are, and
/// how many of the splits were those of a run.
fn leaves_of(keys: impl Iterator<Item = String>, mind_runs: bool) -> (usize, usize) {
    let mut leaves = vec![leaf::<4096>(b"", None, &[])];
    let mut in_runs = 0;
    for key in keys.map(String::into_bytes) {
        loop {
            let index = leaves.partition_point(|leaf| leaf.low_fence() <= &key[..]) - 1;
            let page = &mut leaves[index];
            if page.fits_insert(page.without_prefix(&key).len(), 16) {
                put(page, &key);
                break;
            }
            let ascending = mind_runs && page.is_ascending(page.search(&key).unwrap_err());
            in_runs += usize::from(ascending);
            let split = split_leaf(page, &key, 16, ascending);
            let right = right_half(page, split.at, &split.separator);
            Op::Truncate { slots: split.at as u16, high: &split.separator }.apply(page).unwrap();
            leaves.insert(index + 1, right);
        }
    }
    (leaves.len(), in_runs)
}

#[test]
fn ascending_decimal_keys_need_half_the_leaves_wherever_they_land() {
    for range in [1000..9999, 990..9999] {
        let keys = || range.clone().map(|n| format!("user-{n}"));
        let ((balanced, _), (leaves, in_runs)) = (leaves_of(keys(), false), leaves_of(keys(), true));
        assert!(in_runs > leaves / 2, "{in_runs} of {leaves}");
        assert!(leaves * 5 < balanced * 3, "{leaves} leaves instead of {balanced}");
    }
}

#[test]
fn keys_in_random_order_are_no_run() {
    let mut state = 1u32;
    let keys = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("user-{state}")
    });
    let (leaves, in_runs) = leaves_of(keys.take(20_000), true);
    assert!(leaves > 200 && in_runs == 0, "{in_runs} of {leaves}");
}
