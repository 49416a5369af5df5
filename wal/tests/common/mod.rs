//! What the tests of the log share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::Arc;

use wal::{CommitPolicy, Error, Log, Lsn, Options, Storage};

/// Small segments, so that a short script turns many.
pub(crate) fn small() -> Options {
    Options {
        segment_bytes: 8192,
        buffer_bytes: 64 << 10,
        max_bytes: 1 << 20,
        commit: CommitPolicy::Greedy,
        sync: true,
    }
}

/// A record as replay hands it over.
pub(crate) type Replayed = (Lsn, Vec<u8>);

/// Opens the log `log`; answers it with what it replayed.
pub(crate) fn open(storage: &Arc<dyn Storage>, from: Lsn) -> Result<(Log, Vec<Replayed>), Error> {
    open_with(storage, small(), from)
}

/// [`open`] with other options.
pub(crate) fn open_with(
    storage: &Arc<dyn Storage>,
    options: Options,
    from: Lsn,
) -> Result<(Log, Vec<Replayed>), Error> {
    let mut replayed = Vec::new();
    let log = Log::open(Arc::clone(storage), "log", options, from, &mut |lsn, payload| {
        replayed.push((lsn, payload.to_vec()));
        Ok(())
    })?;
    Ok((log, replayed))
}

/// Creates the log `log`.
pub(crate) fn create(storage: &Arc<dyn Storage>) -> Result<Log, Error> {
    Log::create(Arc::clone(storage), "log", small())
}

/// A payload that says which record it is, of a length that varies with it.
pub(crate) fn payload(number: usize) -> Vec<u8> {
    let len = 8 + (number * 131) % 700;
    let mut bytes = (number as u64).to_le_bytes().to_vec();
    bytes.resize(len, number as u8 | 1);
    bytes
}

/// The name of a segment of the log `log`.
pub(crate) fn segment(number: u64) -> String {
    format!("log-{number:016x}.log")
}
