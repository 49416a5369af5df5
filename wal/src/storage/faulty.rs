//! A disk that loses power, tears writes, and fails at a chosen call.
//!
//! Programs read and write a live image of every file and of the folder. What is not synced survives a power
//! loss in part: of each sector of a file (128 bytes) any state since the last sync, whatever became of the
//! sectors beside it, so that writes survive in any subset and order, and torn; any length that the file has
//! had since; and any prefix of the pending changes of the folder, as journaling file systems keep their order.
//! The choice is drawn from the seed, so a failing run can be repeated.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::image::FileImage;
use super::memory::FolderLock;
use super::random::Random;
use super::{File, Storage, already_exists, not_found};

/// The kinds of calls that [`FaultyStorage::fail`] can make fail.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Call {
    /// [`Storage::open`]
    Open,
    /// [`Storage::create`]
    Create,
    /// [`Storage::rename`]
    Rename,
    /// [`Storage::remove`]
    Remove,
    /// [`Storage::sync_dir`]
    SyncDir,
    /// [`File::read_at`]
    Read,
    /// [`File::write_at`]
    Write,
    /// [`File::set_len`]
    SetLen,
    /// [`File::sync`]
    Sync,
}

impl Call {
    fn changes_state(self) -> bool {
        !matches!(self, Call::Open | Call::Read)
    }
}

/// What happens in place of a call.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The call fails and changes nothing; only a sync of a file that fails forgets what was to be made
    /// durable, as Linux does: later syncs succeed without it.
    Io,
    /// The call fails for want of space and changes nothing.
    NoSpace,
    /// A write gets half way, then fails; a sync of a file makes any part durable and forgets the rest. Other
    /// calls fail as with [`Fault::Io`].
    ShortWrite,
    /// A sync reports success and makes nothing durable: a disk that lies. Other calls are not affected.
    DropSync,
}

/// A disk in memory whose failures are scripted. A clone is the same disk.
#[derive(Clone, Debug)]
pub struct FaultyStorage {
    disk: Arc<Mutex<Disk>>,
    locked: Arc<AtomicBool>,
}

/// A file that stays open by its number while its name changes.
type FileNumber = usize;

#[derive(Debug)]
struct Disk {
    random: Random,
    files: Vec<FileImage>,
    names: BTreeMap<String, FileNumber>,
    durable_names: BTreeMap<String, FileNumber>,
    pending: Vec<Change>,
    calls: u64,
    calls_until_power_loss: Option<u64>,
    faults: Vec<Planned>,
    capacity: u64,
    /// Calls that would have passed the capacity.
    refusals: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Create(String, FileNumber),
    Rename(String, String),
    Remove(String),
}

#[derive(Debug)]
struct Planned {
    call: Call,
    calls_before: u64,
    fault: Fault,
}

/// What a call has to do.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
enum Verdict {
    Go,
    Fail(Fault),
    /// The power went off during this very call: its effect may survive, its answer does not.
    PowerLoss,
}

fn power_is_off() -> io::Error {
    io::Error::new(io::ErrorKind::HostUnreachable, "power is off")
}

impl FaultyStorage {
    /// An empty disk; `seed` decides what its crashes leave.
    pub fn new(seed: u64) -> FaultyStorage {
        FaultyStorage::of(Disk {
            random: Random::new(seed),
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
            calls: 0,
            calls_until_power_loss: None,
            faults: Vec::new(),
            capacity: u64::MAX,
            refusals: 0,
        })
    }

    fn of(disk: Disk) -> FaultyStorage {
        FaultyStorage { disk: Arc::new(Mutex::new(disk)), locked: Arc::default() }
    }

    /// What a power loss right now would leave, as a disk of its own: unlocked, everything on it durable, and
    /// without planned faults. A further crash of the same disk may leave something else.
    pub fn crash(&self) -> FaultyStorage {
        let mut disk = self.disk();
        let kept = {
            let most = disk.pending.len();
            disk.random.up_to(most)
        };
        let mut names = disk.durable_names.clone();
        for change in &disk.pending[..kept] {
            apply(&mut names, change.clone());
        }
        let mut random = disk.random.clone();
        let mut files = Vec::with_capacity(names.len());
        // A file without a name is gone.
        for number in names.values_mut() {
            files.push(disk.files[*number].survivor(&mut random));
            *number = files.len() - 1;
        }
        disk.random = random.clone();
        FaultyStorage::of(Disk {
            random: Random::new(random.next()),
            files,
            durable_names: names.clone(),
            names,
            pending: Vec::new(),
            calls: 0,
            calls_until_power_loss: None,
            faults: Vec::new(),
            capacity: disk.capacity,
            refusals: 0,
        })
    }

    /// Lets the power go off during a call: `calls` more calls that change state succeed, the next one may
    /// take effect in any part, and from then on every call fails.
    pub fn crash_after(&self, calls: u64) {
        self.disk().calls_until_power_loss = Some(calls);
    }

    /// How many calls that change state there have been.
    pub fn calls(&self) -> u64 {
        self.disk().calls
    }

    /// Plans a fault: `calls_before` calls of that kind are spared, the next one gets it.
    pub fn fail(&self, call: Call, calls_before: u64, fault: Fault) {
        self.disk().faults.push(Planned { call, calls_before, fault });
    }

    /// How many of the planned faults have not happened yet.
    pub fn faults_left(&self) -> usize {
        self.disk().faults.len()
    }

    /// Whether the power has gone off.
    pub fn is_off(&self) -> bool {
        self.disk().calls_until_power_loss == Some(u64::MAX)
    }

    /// Takes back what is planned but has not happened: faults, a power loss, the limit of the capacity.
    pub fn heal(&self) {
        let mut disk = self.disk();
        disk.faults.clear();
        disk.refusals = 0;
        disk.calls_until_power_loss = disk.calls_until_power_loss.filter(|&calls| calls == u64::MAX);
        disk.capacity = u64::MAX;
    }

    /// The sum of all file sizes, in bytes.
    pub fn used_bytes(&self) -> u64 {
        self.disk().used_bytes()
    }

    /// How many calls would have passed the capacity, since the last [`FaultyStorage::heal`].
    pub fn refusals(&self) -> u64 {
        self.disk().refusals
    }

    /// Limits the sum of all file sizes in bytes; what would pass it fails with `StorageFull`.
    pub fn capacity(&self, bytes: u64) {
        self.disk().capacity = bytes;
    }

    /// Flips one bit of a file, counted from the file's beginning; the answer says whether there is such a
    /// bit.
    pub fn flip_bit(&self, name: &str, bit: u64) -> bool {
        let mut disk = self.disk();
        match disk.names.get(name).copied() {
            Some(number) => disk.files[number].flip_bit(bit),
            None => false,
        }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, number: FileNumber) -> Arc<dyn File> {
        Arc::new(FaultyFile { storage: self.clone(), number })
    }
}

impl Disk {
    /// Counts a call and decides about it.
    fn call(&mut self, call: Call) -> io::Result<Verdict> {
        if self.calls_until_power_loss == Some(u64::MAX) {
            return Err(power_is_off());
        }
        if call.changes_state() {
            self.calls += 1;
            match &mut self.calls_until_power_loss {
                Some(0) => {
                    self.calls_until_power_loss = Some(u64::MAX);
                    return Ok(Verdict::PowerLoss);
                }
                Some(left) => *left -= 1,
                None => {}
            }
        }
        for planned in self.faults.iter_mut().filter(|planned| planned.call == call) {
            planned.calls_before = planned.calls_before.wrapping_sub(1);
        }
        let due = self.faults.iter().position(|p| p.call == call && p.calls_before == u64::MAX);
        Ok(due.map_or(Verdict::Go, |at| Verdict::Fail(self.faults.swap_remove(at).fault)))
    }

    /// A change of the folder: takes effect at once, and durably by the next sync of the folder.
    fn change(&mut self, call: Call, change: Change) -> io::Result<()> {
        let verdict = self.call(call)?;
        if let Verdict::Fail(fault) = verdict {
            fail(fault)?;
        }
        apply(&mut self.names, change.clone());
        self.pending.push(change);
        outlived(verdict)
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().map(|&number| self.files[number].len()).sum()
    }

    fn room_for(&mut self, number: FileNumber, len: u64) -> io::Result<()> {
        let growth = len.saturating_sub(self.files[number].len());
        match self.used_bytes().saturating_add(growth) > self.capacity {
            true if growth > 0 => {
                self.refusals += 1;
                fail(Fault::NoSpace)
            }
            _ => Ok(()),
        }
    }
}

fn apply(names: &mut BTreeMap<String, FileNumber>, change: Change) {
    match change {
        Change::Create(name, number) => {
            names.insert(name, number);
        }
        Change::Rename(from, to) => {
            if let Some(number) = names.remove(&from) {
                names.insert(to, number);
            }
        }
        Change::Remove(name) => {
            names.remove(&name);
        }
    }
}

fn fail(fault: Fault) -> io::Result<()> {
    match fault {
        Fault::Io | Fault::ShortWrite => Err(io::Error::other("planned fault")),
        Fault::NoSpace => Err(io::Error::new(io::ErrorKind::StorageFull, "planned fault: no space left")),
        Fault::DropSync => Ok(()),
    }
}

/// The answer of a call that took effect.
fn outlived(verdict: Verdict) -> io::Result<()> {
    match verdict {
        Verdict::PowerLoss => Err(power_is_off()),
        _ => Ok(()),
    }
}

impl Storage for FaultyStorage {
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk();
        if let Verdict::Fail(fault) = disk.call(Call::Open)? {
            fail(fault)?;
        }
        let number = disk.names.get(name).copied().ok_or_else(|| not_found(name))?;
        Ok(self.file(number))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk();
        if disk.names.contains_key(name) {
            return Err(already_exists(name));
        }
        let number = disk.files.len();
        disk.files.push(FileImage::default());
        disk.change(Call::Create, Change::Create(name.to_owned(), number))?;
        Ok(self.file(number))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.disk();
        if !disk.names.contains_key(from) {
            return Err(not_found(from));
        }
        disk.change(Call::Rename, Change::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        if !disk.names.contains_key(name) {
            return Err(not_found(name));
        }
        disk.change(Call::Remove, Change::Remove(name.to_owned()))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let disk = self.disk();
        match disk.calls_until_power_loss {
            Some(u64::MAX) => Err(power_is_off()),
            _ => Ok(disk.names.keys().cloned().collect()),
        }
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut disk = self.disk();
        match disk.call(Call::SyncDir)? {
            Verdict::Fail(fault) => return fail(fault),
            Verdict::PowerLoss => return Err(power_is_off()),
            Verdict::Go => {}
        }
        disk.pending.clear();
        disk.durable_names = disk.names.clone();
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send + Sync>> {
        FolderLock::take(&self.locked)
    }

    fn path(&self, name: &str) -> String {
        format!("faulty:{name}")
    }
}

#[derive(Debug)]
struct FaultyFile {
    storage: FaultyStorage,
    number: FileNumber,
}

impl File for FaultyFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.storage.disk();
        if let Verdict::Fail(fault) = disk.call(Call::Read)? {
            fail(fault)?;
        }
        Ok(disk.files[self.number].read_at(buf, offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.storage.disk();
        let verdict = disk.call(Call::Write)?;
        match verdict {
            Verdict::Fail(Fault::ShortWrite) => {
                disk.files[self.number].write_at(&buf[..buf.len() / 2], offset)?;
                fail(Fault::ShortWrite)?;
            }
            Verdict::Fail(fault) => fail(fault)?,
            Verdict::Go | Verdict::PowerLoss => {}
        }
        disk.room_for(self.number, offset.saturating_add(buf.len() as u64))?;
        disk.files[self.number].write_at(buf, offset)?;
        outlived(verdict)
    }

    fn len(&self) -> io::Result<u64> {
        let disk = self.storage.disk();
        match disk.calls_until_power_loss {
            Some(u64::MAX) => Err(power_is_off()),
            _ => Ok(disk.files[self.number].len()),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.storage.disk();
        let verdict = disk.call(Call::SetLen)?;
        if let Verdict::Fail(fault) = verdict {
            fail(fault)?;
        }
        disk.room_for(self.number, len)?;
        disk.files[self.number].set_len(len)?;
        outlived(verdict)
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.storage.disk();
        match disk.call(Call::Sync)? {
            Verdict::Fail(Fault::DropSync) => return Ok(()),
            Verdict::Fail(fault) => {
                let Disk { files, random, .. } = &mut *disk;
                files[self.number].fail_sync((fault == Fault::ShortWrite).then_some(random));
                return fail(fault);
            }
            // What a sync had written when the power went off is what any subset of sectors says.
            Verdict::PowerLoss => return Err(power_is_off()),
            Verdict::Go => {}
        }
        disk.files[self.number].sync();
        Ok(())
    }
}
