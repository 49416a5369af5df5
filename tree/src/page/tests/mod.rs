//! Tests of the page: cases by hand, a model of splitting and merging nodes, and damaged bytes.

use super::limits::{is_inline, max_inline, max_key};
use super::split::LeafSplit;
use super::*;

mod damage;
mod file_pages;
mod heads;
mod inner_model;
mod leaf_model;
mod log_form;
mod node;
mod runs;
mod splits;

/// A value that a test owns.
#[derive(Clone, Eq, PartialEq, Debug)]
enum Owned {
    Inline(Vec<u8>),
    Overflow(u32, u32),
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Owned::Inline(bytes) => Value::Inline(bytes),
            Owned::Overflow(len, first) => Value::Overflow { len: *len, first: PageId(*first) },
        }
    }

    fn of(value: Value<'_>) -> Owned {
        match value {
            Value::Inline(bytes) => Owned::Inline(bytes.to_vec()),
            Value::Overflow { len, first } => Owned::Overflow(len, first.0),
        }
    }

    /// A value of the kind and size that the limits allow besides a key; `size` chooses, from none to all.
    fn besides<const PAGE: usize>(key: &[u8], size: u8, fill: u8) -> Owned {
        let room = max_inline(PAGE) - key.len();
        match size {
            0 => Owned::Overflow(u32::from(fill) * 100_000, u32::from(fill) + 2),
            255 => Owned::Inline(vec![fill; room]),
            _ => Owned::Inline(vec![fill; room * usize::from(size) / 256]),
        }
    }
}

fn leaf<const PAGE: usize>(low: &[u8], high: Option<&[u8]>, cells: &[(&[u8], &[u8])]) -> Page<PAGE> {
    let mut builder = NodeBuilder::new(Kind::Leaf, 0, low, high);
    for (key, value) in cells {
        builder.push_leaf(key, Value::Inline(value));
    }
    builder.finish().unwrap()
}

fn key_of<const PAGE: usize>(page: &Page<PAGE>, slot: usize) -> Vec<u8> {
    let mut key = b"what was there before".to_vec();
    page.copy_key(slot, &mut key);
    key
}

fn cells_of<const PAGE: usize>(page: &Page<PAGE>) -> Vec<(Vec<u8>, Owned)> {
    (0..page.count()).map(|slot| (key_of(page, slot), Owned::of(page.value(slot)))).collect()
}

fn image_of<const PAGE: usize>(page: &Page<PAGE>) -> Vec<u8> {
    let mut bytes = Vec::new();
    image(page, &mut bytes);
    bytes
}

/// As a page would come from its file.
fn assert_valid<const PAGE: usize>(page: &Page<PAGE>) {
    let mut stored = page.clone();
    stored.seal();
    assert_eq!(stored.verify(page.id()), Ok(()));
}

/// Two copies of a page: one changed by the operations themselves, one by what the log makes of them.
#[derive(Clone)]
struct Twin<const PAGE: usize> {
    page: Page<PAGE>,
    replayed: Page<PAGE>,
}

impl<const PAGE: usize> Twin<PAGE> {
    /// A page made by an image, as every new node is.
    fn new(content: &Page<PAGE>) -> Self {
        let mut twin = Twin { page: Page::zeroed(), replayed: Page::zeroed() };
        let bytes = image_of(content);
        twin.apply(Op::Image { bytes: &bytes }).unwrap();
        twin
    }

    fn apply(&mut self, op: Op<'_>) -> Result<(), ApplyError> {
        let mut payload = Vec::new();
        RecordWriter::new(&mut payload, 3, -1).op(PageId(17), &op);
        let record = Record::parse(&payload).unwrap();
        assert_eq!((record.partition, record.delta), (3, -1));
        let ops = record.ops().collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(ops, [(PageId(17), op)]);

        let before = self.page.clone();
        let applied = op.apply(&mut self.page);
        assert_eq!(ops[0].1.apply(&mut self.replayed), applied);
        assert!(self.page.bytes() == self.replayed.bytes());
        if applied.is_err() {
            assert!(self.page.bytes() == before.bytes(), "a failed operation leaves the page as it was");
        }
        assert_valid(&self.page);
        applied
    }
}
