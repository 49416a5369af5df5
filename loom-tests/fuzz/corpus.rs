//! The short run of the fuzz targets that is a part of the ordinary tests: every stored input, then seeded
//! mutations of them. Included by the tests of each crate that has targets.

use std::path::{Path, PathBuf};

/// A target: its name, which is also its corpus's folder, its body, and how many mutations it gets.
pub(super) type Target = (&'static str, fn(&[u8]), u64);

/// Runs the targets over their corpora, and says how many inputs ran.
///
/// # Panics
/// A corpus is missing or empty, or a body panics: then the message has the input, to be written to a file
/// and given to the target.
pub(super) fn run(targets: &[Target]) {
    for &(name, body, mutations) in targets {
        let inputs = stored(name);
        for (path, input) in &inputs {
            run_one(body, input, &|| path.display().to_string());
        }
        let mut random = Random(0x5eed);
        for number in 0..mutations {
            let input = mutated(&inputs, &mut random);
            run_one(body, &input, &|| format!("{name}, mutation {number}"));
        }
        println!("{name}: {} stored inputs, {mutations} mutations", inputs.len());
    }
}

/// The folder of a target's corpus.
pub(super) fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../loom-tests/fuzz/corpus").join(target)
}

/// Adds seeds to a target's corpus.
pub(super) fn store(target: &str, seeds: &[Vec<u8>]) {
    let folder = folder(target);
    std::fs::create_dir_all(&folder).unwrap();
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number:02}")), seed).unwrap();
    }
}

fn stored(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = folder(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn run_one(body: fn(&[u8]), input: &[u8], case: &dyn Fn() -> String) {
    if std::panic::catch_unwind(|| body(input)).is_err() {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{}: a panic on the {} bytes {hex}", case(), input.len());
    }
}

/// A stored input with one to eight changes.
fn mutated(inputs: &[(PathBuf, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    let mut input = inputs[random.below(inputs.len())].1.clone();
    for _ in 0..=random.below(8) {
        let at = random.below(input.len() + 1);
        match random.below(6) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            2 if at < input.len() => {
                input[at] = input[at].wrapping_add(random.below(9) as u8).wrapping_sub(4)
            }
            3 => input.truncate(at.max(input.len() / 2)),
            4 => {
                let other = &inputs[random.below(inputs.len())].1;
                let from = random.below(other.len() + 1);
                let to = from + random.below((other.len() - from).min(64) + 1);
                let end = (at + to - from).min(input.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            _ => {
                let end = at + random.below((input.len() - at).min(32) + 1);
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
        }
    }
    input
}

/// A small generator of repeatable random numbers (splitmix64; Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}
