//! What clients do with a table when whole databases are tested, with every call and answer noted.
//!
//! Puts, deletes, conditional writes, batches, reads and scans over few hot keys that everybody wants, cold keys
//! beside them, runs of neighbours that are deleted so that leaves empty and merge, and a group of keys that is
//! written by whole batches only. Values are of all lengths, overflow chains included, and say who wrote them: a value
//! put together from two writes is noticed as such.
#![allow(dead_code, reason = "each test that includes the module uses a part")]

use loom_tests::history::{Client, Found, If, Recorder, Register, Report, ValueId, Write};
use tree::{Batch, Commit, Condition, DatabaseOf, Result, TableOf};

/// Small pages: three or four items split a node.
pub(crate) const TINY: usize = 256;
pub(crate) use loom_tests::ENGINES;
/// So many keys there are: with their values more than a pool of 64 pages holds.
pub(crate) const KEYS: u32 = 200;
/// Every so-many-th key is hot.
const HOT: u32 = 40;
/// Keys that are written by batches of all of them only; in leaves of their own and beside hot keys.
const GROUP: [u32; 4] = [13, 39, 41, 117];

/// A small generator of repeatable random numbers (splitmix64; Steele, Lea and Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize]
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn key(number: u32) -> Vec<u8> {
    format!("key-{number:03}").into_bytes()
}

fn number(key: &[u8]) -> u32 {
    let digits = key.strip_prefix(b"key-").and_then(|digits| str::from_utf8(digits).ok());
    let number = digits.and_then(|digits| digits.parse().ok());
    number.unwrap_or_else(|| panic!("nobody wrote the key {}", key.escape_ascii()))
}

/// The bytes of a value: its id, and more that follows from it. One in twelve needs a chain of overflow pages.
fn value(id: ValueId) -> Vec<u8> {
    let shape = mix(id);
    let more = if shape.is_multiple_of(12) { 200 + shape / 12 % 600 } else { shape / 12 % 50 };
    let fill = (0..more).map(|at| (shape ^ at) as u8);
    id.to_le_bytes().into_iter().chain(fill).collect()
}

fn id(bytes: &[u8]) -> ValueId {
    let id = bytes.first_chunk().map(|id| u64::from_le_bytes(*id));
    let id = id.filter(|&id| value(id) == bytes);
    id.unwrap_or_else(|| panic!("nobody wrote this value: {}", bytes.escape_ascii()))
}

/// What the tests know of the database that they work on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// Writes of the whole group are atomic where it lies in one partition.
    pub(crate) one_partition: bool,
    /// A ticket proves earlier writes durable where there is one log.
    pub(crate) one_log: bool,
}

impl Setup {
    fn register(self, key: u32) -> Register {
        if self.one_partition && GROUP.contains(&key) { KEYS } else { key }
    }
}

/// One client at work.
pub(crate) struct Worker<'t> {
    pub(crate) table: &'t TableOf<TINY>,
    pub(crate) setup: Setup,
    pub(crate) client: Client,
    pub(crate) random: Random,
    /// The id of the next value; clients have ids apart.
    next: ValueId,
}

impl<'t> Worker<'t> {
    pub(crate) fn new(table: &'t TableOf<TINY>, setup: Setup, client: Client, seed: u64) -> Worker<'t> {
        let next = u64::from(client.number()) << 32;
        Worker { table, setup, client, random: Random(seed), next }
    }

    /// Puts every key, so that the tree has its size.
    pub(crate) fn fill(&mut self) -> Result<()> {
        let singles: Vec<_> = (0..KEYS).filter(|key| !GROUP.contains(key)).collect();
        singles.chunks(8).try_for_each(|keys| self.put_all(keys))?;
        self.put_all(&GROUP)
    }

    /// Makes so many operations, and a checkpoint every now and then where `database` is given.
    pub(crate) fn work(&mut self, steps: u32, database: Option<&DatabaseOf<TINY>>) -> Result<()> {
        for _ in 0..steps {
            match database {
                Some(database) if self.random.below(30) == 0 => database.checkpoint()?,
                _ => self.step()?,
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        let key = self.single();
        match self.random.below(24) {
            0..6 => self.put(key, If::Always).map(drop),
            6..9 => self.delete(key, If::Present),
            9 => (key..KEYS.min(key + 8))
                .filter(|key| !GROUP.contains(key))
                .try_for_each(|key| self.delete(key, If::Present)),
            10..12 => self.put(key, If::Absent).map(drop),
            12 | 13 => match self.get(key)? {
                Some(seen) => self.put(key, If::Equals(seen)).map(drop),
                None => self.put(key, If::Absent).map(drop),
            },
            14 => match self.get(key)? {
                Some(seen) => self.delete(key, If::Equals(seen)),
                None => Ok(()),
            },
            15 => self.put_all(&GROUP),
            16 => self.mixed_batch(),
            17..21 => self.get(key).map(drop),
            21 | 22 => {
                let member = self.random.one_of(&GROUP);
                self.get(member).map(drop)
            }
            _ => self.scan(),
        }
    }

    /// A key that is not of the group.
    fn single(&mut self) -> u32 {
        let hot = self.random.below(5) < 2;
        let key = if hot { self.random.below(KEYS / HOT) * HOT } else { self.random.below(KEYS) };
        if GROUP.contains(&key) { 0 } else { key }
    }

    fn fresh(&mut self) -> ValueId {
        self.next += 1;
        self.next
    }

    fn put(&mut self, number: u32, condition: If) -> Result<()> {
        let (table, id) = (self.table, self.fresh());
        let write = Write { condition, value: Some(id) };
        let called = self.client.now();
        let outcome = with(condition, |condition| table.put_if(&key(number), &value(id), condition));
        self.settle(called, &[(self.setup.register(number), write)], true, outcome)
    }

    fn delete(&mut self, number: u32, condition: If) -> Result<()> {
        let table = self.table;
        let write = Write { condition, value: None };
        let called = self.client.now();
        let outcome = with(condition, |condition| table.delete_if(&key(number), condition));
        self.settle(called, &[(self.setup.register(number), write)], true, outcome)
    }

    /// Puts one value to all of the keys by a batch.
    fn put_all(&mut self, keys: &[u32]) -> Result<()> {
        let id = self.fresh();
        self.apply(keys.iter().map(|&key| (key, Some(id))).collect())
    }

    fn mixed_batch(&mut self) -> Result<()> {
        let mut keys = [self.single(), self.single(), self.single()].to_vec();
        keys.sort_unstable();
        keys.dedup();
        let writes = keys.into_iter().map(|key| (key, (self.random.below(3) > 0).then(|| self.fresh())));
        let writes = writes.collect();
        self.apply(writes)
    }

    fn apply(&mut self, writes: Vec<(u32, Option<ValueId>)>) -> Result<()> {
        let mut batch = Batch::new();
        for &(number, id) in &writes {
            match id {
                Some(id) => batch.put(key(number), value(id)),
                None => batch.delete(key(number)),
            };
        }
        let as_write =
            |&(key, value): &(u32, _)| (self.setup.register(key), Write { condition: If::Always, value });
        let mut notes: Vec<_> = writes.iter().map(as_write).collect();
        notes.dedup();
        let called = self.client.now();
        let outcome = self.table.apply(&batch);
        // A batch of deletes may find nothing to do, and rest on what others wrote.
        let new = writes.iter().any(|(_, id)| id.is_some());
        self.settle(called, &notes, new, outcome)
    }

    /// Notes what became of a write; three of four are waited for. `new` says whether it made a log record if it was
    /// applied: the ticket of one that did not proves nothing of other writes.
    fn settle(
        &mut self,
        called: u64,
        writes: &[(Register, Write)],
        new: bool,
        outcome: Result<Commit<'_>>,
    ) -> Result<()> {
        let client = &mut self.client;
        let commit = outcome.inspect_err(|_| {
            writes.iter().for_each(|&(register, write)| client.failed(called, register, write));
        })?;
        let applied = commit.applied();
        writes.iter().for_each(|&(register, write)| client.wrote(called, register, write, applied));
        if self.random.below(4) > 0 {
            commit.wait()?;
            match new && applied && self.setup.one_log {
                true => client.confirm(),
                false => client.confirm_last(writes.len()),
            }
        }
        Ok(())
    }

    fn get(&mut self, number: u32) -> Result<Option<ValueId>> {
        let called = self.client.now();
        let seen = self.table.get(&key(number))?.map(|bytes| id(&bytes));
        self.client.read(called, self.setup.register(number), seen);
        Ok(seen)
    }

    fn scan(&mut self) -> Result<()> {
        let start = self.random.below(KEYS);
        let end = if self.random.below(3) == 0 { KEYS } else { KEYS.min(start + 20) };
        let (backward, limit) = (self.random.below(2) == 0, 1 + self.random.below(40) as usize);
        self.scan_range(start..end, backward, limit).map(drop)
    }

    /// Scans until the limit, an error, or the end; answers how many items there were.
    fn scan_range(&mut self, range: std::ops::Range<u32>, backward: bool, limit: usize) -> Result<usize> {
        let bounds = key(range.start)..key(range.end);
        let called = self.client.now();
        let items = if backward { self.table.scan_backward(bounds) } else { self.table.scan(bounds) };
        let (mut found, mut failure) = (Vec::new(), None);
        for item in items.take(limit) {
            match item {
                Ok((key, value)) => {
                    let (key, value) = (number(&key), id(&value));
                    found.push(Found { key, value, returned: self.client.now() });
                }
                Err(error) => failure = Some(error),
            }
        }
        let cut = failure.is_some() || found.len() == limit;
        let last = found.last().map(|last| last.key);
        let passed: Vec<_> = if backward { range.rev().collect() } else { range.collect() };
        let passed = match (cut, last.and_then(|last| passed.iter().position(|&key| key == last))) {
            (true, Some(last)) => &passed[..=last],
            (true, None) => &[],
            (false, _) => &passed[..],
        };
        let (setup, count) = (self.setup, found.len());
        self.client.scanned(called, passed.iter().map(|&key| (key, setup.register(key))), found);
        failure.map_or(Ok(count), Err)
    }
}

fn with<'t>(condition: If, write: impl FnOnce(Condition<'_>) -> Result<Commit<'t>>) -> Result<Commit<'t>> {
    match condition {
        If::Always | If::Present => write(Condition::Always),
        If::Absent => write(Condition::Absent),
        If::Equals(id) => write(Condition::Equals(&value(id))),
    }
}

/// When all clients have ended: the tree is sound, the count is exact, and one order of everything that they did,
/// ended by a scan of all keys in each direction, explains every answer.
pub(crate) fn verify(
    database: &DatabaseOf<TINY>,
    table: &TableOf<TINY>,
    setup: Setup,
    recorder: &mut Recorder,
    what: &str,
) -> Report {
    let mut verifier = Worker::new(table, setup, recorder.client(u32::MAX), 0);
    let items = verifier.scan_range(0..KEYS, false, usize::MAX).unwrap();
    assert_eq!(verifier.scan_range(0..KEYS, true, usize::MAX).unwrap(), items, "{what}");
    assert_eq!(table.count().unwrap(), items as u64, "{what}: the count is exact");
    recorder.add(verifier.client);
    let checked = database.check().unwrap();
    assert!(checked.is_clean(), "{what}: {checked}");
    recorder.check().unwrap_or_else(|violation| panic!("{what}\n{violation}"))
}
