//! What befalls the disk: the power fails, a call fails, or there is no space left.

use wal::{Call, Fault, FaultyStorage};

use super::Decisions;

/// One thing that is about to go wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trouble {
    /// The power goes off during the call after so many that change state.
    PowerLoss { calls: u64 },
    /// A call fails: the one after so many of its kind.
    Fault { call: Call, calls: u64, fault: Fault },
    /// The disk takes so many more bytes.
    Full { bytes: u64 },
}

/// Which faults a call may meet, and how many of its kind there are in a run, roughly.
const FAULTS: [(Call, u64, &[Fault]); 9] = [
    (Call::Write, 24, &[Fault::Io, Fault::NoSpace, Fault::ShortWrite]),
    (Call::Sync, 24, &[Fault::Io, Fault::ShortWrite]),
    (Call::Read, 24, &[Fault::Io]),
    (Call::SyncDir, 4, &[Fault::Io]),
    (Call::Open, 6, &[Fault::Io]),
    (Call::Create, 3, &[Fault::Io, Fault::NoSpace]),
    (Call::Rename, 3, &[Fault::Io, Fault::NoSpace]),
    (Call::Remove, 3, &[Fault::Io]),
    (Call::SetLen, 3, &[Fault::Io, Fault::NoSpace]),
];

impl Trouble {
    pub(super) fn draw(decisions: &mut Decisions) -> Trouble {
        match decisions.below(10) {
            0..5 => Trouble::PowerLoss { calls: decisions.below(40) },
            5..9 => {
                // Most calls are writes and syncs.
                let last = if decisions.one_in(2) { 3 } else { FAULTS.len() };
                let (call, calls, faults) = decisions.pick(&FAULTS[..last]);
                Trouble::Fault { call, calls: decisions.below(calls), fault: decisions.pick(faults) }
            }
            _ => Trouble::Full { bytes: decisions.below(70_000) },
        }
    }

    /// A sync that is reported and not done, which no database can stand.
    pub(super) fn lie(decisions: &mut Decisions) -> Trouble {
        Trouble::Fault { call: Call::Sync, calls: decisions.below(24), fault: Fault::DropSync }
    }

    pub(super) fn plan(self, disk: &FaultyStorage) {
        match self {
            Trouble::PowerLoss { calls } => disk.crash_after(calls),
            Trouble::Fault { call, calls, fault } => disk.fail(call, calls, fault),
            Trouble::Full { bytes } => disk.capacity(disk.used_bytes() + bytes),
        }
    }

    /// Whether it has happened on the disk that it was planned for.
    pub(super) fn has_happened(self, disk: &FaultyStorage) -> bool {
        match self {
            Trouble::PowerLoss { .. } => disk.is_off(),
            Trouble::Fault { .. } => disk.faults_left() == 0,
            Trouble::Full { .. } => disk.refusals() > 0,
        }
    }

    /// Its kind, in words.
    pub(super) fn kind(self) -> String {
        match self {
            Trouble::PowerLoss { .. } => "power loss".into(),
            Trouble::Full { .. } => "disk full".into(),
            Trouble::Fault { call, fault, .. } => match (fault, call) {
                (Fault::ShortWrite, Call::Write) => "short write".into(),
                (Fault::ShortWrite, _) => format!("{call:?} fails half way"),
                (Fault::Io, Call::Sync | Call::SyncDir) => format!("{call:?} fails"),
                (Fault::Io, _) => format!("{call:?} fails, EIO"),
                (Fault::NoSpace, _) => format!("{call:?} fails, ENOSPC"),
                (Fault::DropSync, _) => "sync that lies".into(),
            },
        }
    }
}
