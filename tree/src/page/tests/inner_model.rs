//! A level of inner nodes that split and merge, against a map from lower bounds to children.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::splits::split_inner_until_room;
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Insert { bound: Vec<u8>, child: u32 },
    Remove { bound: Index },
    Merge { node: Index },
}

fn step() -> impl Strategy<Value = Step> {
    let byte = prop_oneof![Just(0u8), Just(0xff), Just(b'm'), b'0'..=b'3'];
    let short = proptest::collection::vec(byte.clone(), 1..6);
    let long = (0..max_key(256), byte).prop_map(|(len, last)| [&vec![b'm'; len][..], &[last]].concat());
    prop_oneof![
        6 => (prop_oneof![short, long], 2u32..).prop_map(|(bound, child)| Step::Insert { bound, child }),
        2 => any::<Index>().prop_map(|bound| Step::Remove { bound }),
        1 => any::<Index>().prop_map(|node| Step::Merge { node }),
    ]
}

struct Level {
    nodes: Vec<Twin<256>>,
    model: BTreeMap<Vec<u8>, u32>,
}

impl Level {
    fn new() -> Self {
        let mut builder = NodeBuilder::new(Kind::Inner, 1, b"", None);
        builder.push_child(b"", PageId(2));
        let nodes = vec![Twin::new(&builder.finish().unwrap())];
        Level { nodes, model: BTreeMap::from([(vec![], 2)]) }
    }

    fn node_of(&self, key: &[u8]) -> usize {
        self.nodes.iter().position(|node| node.page.covers(key)).expect("one node covers the key")
    }

    /// Splits beforehand, as the way down does: where a separator of the maximum size would not fit.
    fn make_safe(&mut self, key: &[u8]) {
        let index = self.node_of(key);
        let node = &self.nodes[index];
        if !node.page.fits_insert(max_key(256) - node.page.prefix().len(), 0) {
            let parts = split_inner_until_room(&node.page);
            self.nodes.splice(index..=index, parts);
        }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Insert { bound, .. } if self.model.contains_key(bound) => {}
            Step::Insert { bound, child } => {
                self.make_safe(bound);
                let index = self.node_of(bound);
                let node = &mut self.nodes[index];
                let slot = node.page.child_index(bound) as u16 + 1;
                let suffix = node.page.without_prefix(bound);
                node.apply(Op::InsertChild { slot, suffix, child: PageId(*child) }).unwrap();
                self.model.insert(bound.clone(), *child);
            }
            Step::Remove { bound } => {
                let bound = self.model.keys().nth(bound.index(self.model.len())).unwrap().clone();
                self.remove(&bound);
            }
            Step::Merge { node } => {
                let index = node.index(self.nodes.len());
                let Some(right) = self.nodes.get(index + 1) else { return };
                let Some(both) = merged(&self.nodes[index].page, &right.page) else { return };
                self.nodes[index] = Twin::new(&both);
                self.nodes.remove(index + 1);
            }
        }
    }

    fn remove(&mut self, bound: &[u8]) {
        let node = self.node_of(bound);
        let page = &self.nodes[node].page;
        let slot = page.child_index(bound);
        let fallen = (slot == 0 && page.count() > 1).then(|| key_of(page, 1));
        match self.nodes[node].apply(Op::Remove { slot: slot as u16 }) {
            Err(error) => assert_eq!(error, ApplyError::FirstChild),
            Ok(()) => {
                self.model.remove(bound);
                // The next child took over the bound of the first one.
                if let Some(next) = fallen {
                    let child = self.model.remove(&next).unwrap();
                    self.model.insert(bound.to_vec(), child);
                }
            }
        }
    }

    fn check(&self) {
        let children = self.nodes.iter().flat_map(|node| {
            (0..node.page.count()).map(|slot| (key_of(&node.page, slot), node.page.child(slot).0))
        });
        assert!(children.eq(self.model.clone()));
        for bound in self.model.keys() {
            for key in [bound.clone(), [&bound[..], &[0]].concat(), [&bound[..], &[0xff; 9]].concat()] {
                let page = &self.nodes[self.node_of(&key)].page;
                let (_, child) = self.model.range(..=key.clone()).next_back().unwrap();
                assert_eq!(page.child(page.child_index(&key)), PageId(*child));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn inner_nodes_behave_as_a_map_of_lower_bounds(steps in proptest::collection::vec(step(), 1..200)) {
        let mut level = Level::new();
        for step in &steps {
            level.run(step);
        }
        level.check();
    }
}
