//! Fuzz targets: whatever the bytes, reading them ends, without a panic, in what they say or in an error.
//!
//! Each target is a plain function, so that libFuzzer (`loom-tests/fuzz`) and the ordinary tests run the same
//! body. A mutator does not guess checksums: where one would stop all that it tries, the body makes it right.
//!
//! | file | targets |
//! |---|---|
//! | `pages.rs` | one page, and redo operations on one |
//! | `database.rs` | a whole database behind arbitrary log records, pages, or a catalog |
//! | `settings.rs` | options and their names |
//! | `disk.rs` | the disk that those databases live on |
//! | `seeds.rs` | the inputs that mutation begins with, from real databases |

mod database;
mod disk;
mod pages;
#[cfg(test)]
mod seeds;
mod settings;

pub use database::{catalog, page_file, replay};
pub use pages::{op, page};
pub use settings::options;

/// The page size of these databases: three or four keys split a node.
const TINY: usize = 256;

/// The first bytes, with zeros for those that lack, and the rest.
fn take<const N: usize>(data: &[u8]) -> ([u8; N], &[u8]) {
    let mut taken = [0; N];
    let (front, rest) = data.split_at(data.len().min(N));
    taken[..front.len()].copy_from_slice(front);
    (taken, rest)
}

#[cfg(test)]
#[path = "../../loom-tests/fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stored_input_and_no_mutation_of_one_panics() {
        corpus::run(&[
            ("page", page, 6_000),
            ("op", op, 6_000),
            ("replay", replay, 1_500),
            ("catalog", catalog, 1_500),
            ("page_file", page_file, 1_500),
            ("options", options, 3_000),
        ]);
    }
}
