//! A level of leaves that split and merge, against a `BTreeMap`.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::splits::split_and_insert;
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Put { key: KeyChoice, size: u8, fill: u8, ascending: bool },
    Remove { key: Index },
    Split { leaf: Index, at: Index },
    Merge { leaf: Index },
}

/// A key of a few families, so that prefixes are shared, suffixes get empty, and lengths get extreme.
#[derive(Clone, Debug)]
struct KeyChoice {
    stem: u8,
    cut: Index,
    tail: Vec<u8>,
}

impl KeyChoice {
    fn key<const PAGE: usize>(&self) -> Vec<u8> {
        let longest = max_key(PAGE);
        let stem = match self.stem {
            0 => vec![],
            1 => b"user-10".to_vec(),
            2 => vec![0; longest],
            3 => vec![0xff; longest],
            _ => vec![b'm'; longest],
        };
        let mut key = stem[..self.cut.index(stem.len() + 1)].to_vec();
        key.extend_from_slice(&self.tail);
        key.truncate(longest);
        key
    }
}

fn key_choice() -> impl Strategy<Value = KeyChoice> {
    let byte = prop_oneof![Just(0u8), Just(0xff), Just(b'm'), b'0'..=b'9'];
    let tail = proptest::collection::vec(byte, 0..7);
    (0u8..5, any::<Index>(), tail).prop_map(|(stem, cut, tail)| KeyChoice { stem, cut, tail })
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![Just(0u8), Just(1), Just(255), any::<u8>()];
    prop_oneof![
        6 => (key_choice(), size, any::<u8>(), any::<bool>())
            .prop_map(|(key, size, fill, ascending)| Step::Put { key, size, fill, ascending }),
        2 => any::<Index>().prop_map(|key| Step::Remove { key }),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(leaf, at)| Step::Split { leaf, at }),
        1 => any::<Index>().prop_map(|leaf| Step::Merge { leaf }),
    ]
}

/// Leaves that cover all keys, without a tree above them.
struct Level<const PAGE: usize> {
    leaves: Vec<Twin<PAGE>>,
    model: BTreeMap<Vec<u8>, Owned>,
}

impl<const PAGE: usize> Level<PAGE> {
    fn new() -> Self {
        Level { leaves: vec![Twin::new(&leaf(b"", None, &[]))], model: BTreeMap::new() }
    }

    fn leaf_of(&self, key: &[u8]) -> usize {
        let found = self.leaves.iter().position(|leaf| leaf.page.covers(key));
        found.expect("one leaf covers the key")
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Put { key, size, fill, ascending } => {
                let key = key.key::<PAGE>();
                let value = Owned::besides::<PAGE>(&key, *size, *fill);
                self.put(&key, &value, *ascending);
                self.model.insert(key, value);
            }
            Step::Remove { key } if !self.model.is_empty() => {
                let key = self.model.keys().nth(key.index(self.model.len())).unwrap().clone();
                let leaf = self.leaf_of(&key);
                let slot = self.leaves[leaf].page.search(&key).unwrap() as u16;
                self.leaves[leaf].apply(Op::Remove { slot }).unwrap();
                self.model.remove(&key);
            }
            Step::Remove { .. } => {}
            Step::Split { leaf, at } => self.split(leaf.index(self.leaves.len()), at),
            Step::Merge { leaf } => self.merge(leaf.index(self.leaves.len())),
        }
    }

    fn put(&mut self, key: &[u8], value: &Owned, ascending: bool) {
        let index = self.leaf_of(key);
        let leaf = &mut self.leaves[index];
        let value = value.value();
        assert!(is_inline(PAGE, key.len(), value.stored_len()));
        let (fits, op) = match leaf.page.search(key) {
            Ok(slot) => {
                (leaf.page.fits_update(slot, value.stored_len()), Op::Update { slot: slot as u16, value })
            }
            Err(slot) => {
                let suffix = leaf.page.without_prefix(key);
                let fits = leaf.page.fits_insert(suffix.len(), value.stored_len());
                (fits, Op::Insert { slot: slot as u16, suffix: &key[key.len() - suffix.len()..], value })
            }
        };
        assert_eq!(leaf.apply(op), if fits { Ok(()) } else { Err(ApplyError::NoRoom) });
        if !fits {
            let parts = split_and_insert(&leaf.page, key, value, ascending);
            self.leaves.splice(index..=index, parts.iter().map(Twin::new));
        }
    }

    /// Splits without need, anywhere, where the two copies of the separator fit.
    fn split(&mut self, index: usize, at: &Index) {
        let leaf = &mut self.leaves[index];
        if leaf.page.count() == 0 {
            return;
        }
        let at = at.index(leaf.page.count());
        let separator = key_of(&leaf.page, at);
        let mut right = NodeBuilder::<PAGE>::new(Kind::Leaf, 0, &separator, leaf.page.high_fence());
        for (key, value) in &cells_of(&leaf.page)[at..] {
            right.push_leaf(key, value.value());
        }
        let Ok(right) = right.finish() else { return };
        assert!(image_of(&right) == image_of(&right_half(&leaf.page, at, &separator)));
        match leaf.apply(Op::Truncate { slots: at as u16, high: &separator }) {
            Ok(()) => self.leaves.insert(index + 1, Twin::new(&right)),
            Err(error) => assert!(matches!(error, ApplyError::NoRoom | ApplyError::Fences)),
        }
    }

    fn merge(&mut self, index: usize) {
        let Some(right) = self.leaves.get(index + 1) else { return };
        let Some(both) = merged(&self.leaves[index].page, &right.page) else { return };
        let bytes = image_of(&both);
        self.leaves[index].apply(Op::Image { bytes: &bytes }).unwrap();
        self.leaves.remove(index + 1).apply(Op::Free).unwrap();
    }

    fn check(&self) {
        let cells = self.leaves.iter().flat_map(|leaf| cells_of(&leaf.page));
        assert!(cells.eq(self.model.clone()));
        for pair in self.leaves.windows(2) {
            assert_eq!(pair[0].page.high_fence(), Some(pair[1].page.low_fence()));
        }
        for leaf in &self.leaves {
            check_room(&leaf.page);
        }
        for (key, value) in &self.model {
            let page = &self.leaves[self.leaf_of(key)].page;
            assert_eq!(page.value(page.search(key).unwrap()), value.value());
        }
    }
}

/// The room told is the page without all that is known to be in it.
fn check_room<const PAGE: usize>(page: &Page<PAGE>) {
    let cells = (0..page.count()).map(|slot| 8 + 2 + page.suffix(slot).len() + page.value(slot).stored_len());
    let used = cells.sum::<usize>();
    let fences = page.low_fence().len() + page.high_fence().map_or(0, <[u8]>::len);
    assert_eq!(page.used_bytes(), used);
    assert_eq!(page.free_bytes(), PAGE - HEADER - used - fences);
}

fn run<const PAGE: usize>(steps: &[Step]) {
    let mut level = Level::<PAGE>::new();
    for step in steps {
        level.run(step);
    }
    level.check();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn leaves_of_256_bytes_behave_as_a_map(steps in proptest::collection::vec(step(), 1..200)) {
        run::<256>(&steps);
    }

    #[test]
    fn leaves_of_4096_bytes_behave_as_a_map(steps in proptest::collection::vec(step(), 1..300)) {
        run::<4096>(&steps);
    }
}
