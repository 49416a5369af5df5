//! The public face of a log.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::background::Background;
use crate::commit::{Core, Urgency};
use crate::future::Durable;
use crate::options::Options;
use crate::recovery;
use crate::segment::{HEADER_BYTES, MakeError, Segments};
use crate::stats::{Stats, read};
use crate::storage::Storage;
use crate::supply::Supply;
use crate::sync::Ordering;
use crate::{Error, Lsn};

/// Takes what recovery replays: every record with its LSN, in order.
pub type Replay<'a> = dyn FnMut(Lsn, &[u8]) -> Result<(), Error> + 'a;

/// A write-ahead log: appends are cheap and in order, waits make them durable in groups.
///
/// A log does not lock its folder: whoever opens the folder does, by [`Storage::lock`].
#[derive(Debug)]
pub struct Log {
    pub(crate) core: Arc<Core>,
    pub(crate) background: Background,
}

impl Log {
    /// Whether there is a log of this name: creating one has got to its end, and nobody has removed it.
    ///
    /// # Errors
    /// Where the folder cannot be read, or the options are wrong.
    pub fn exists(storage: &Arc<dyn Storage>, name: &str, options: &Options) -> Result<bool, Error> {
        options.validate()?;
        Ok(!segments(Arc::clone(storage), name, options).numbers()?.is_empty())
    }

    /// Makes an empty log, durably. Its files are `{name}-{number}.log`.
    ///
    /// # Errors
    /// [`Error::Io`] with `AlreadyExists` where there is a log of this name; [`Error::Options`] where the
    /// options are out of range.
    pub fn create(storage: Arc<dyn Storage>, name: &str, options: Options) -> Result<Log, Error> {
        options.validate()?;
        let segments = segments(storage, name, &options);
        if let Some(&number) = segments.numbers()?.first() {
            let exists = std::io::ErrorKind::AlreadyExists.into();
            return Err(Error::io("create", segments.path(number))(exists));
        }
        let mut header = Vec::new();
        segments.push_header(&mut header, 0);
        let file = segments.make(0, &header).map_err(MakeError::into_error)?;
        let supply = Supply::new(segments.clone(), VecDeque::new(), 0);
        let core = Core::new(segments, options, HEADER_BYTES, file, supply, HEADER_BYTES);
        Ok(Log { core: Arc::new(core), background: Background::default() })
    }

    /// Opens a log after a shutdown or a crash, and hands `replay` every whole record that ends behind `from`,
    /// in order, with its LSN. `from` is the redo LSN of the last checkpoint, [`Lsn::ZERO`] if there was none.
    ///
    /// What a crash has torn at the end is cut off first, and what is left is durable before `replay` is
    /// called: redo may write pages back.
    ///
    /// # Errors
    /// [`Error::Missing`] where the segment of `from` does not exist; [`Error::Corrupt`] where bytes that
    /// were durable are damaged, and then nothing was changed; [`Error::Options`] where the log was made
    /// with another `segment_bytes`; and whatever `replay` answers.
    pub fn open(
        storage: Arc<dyn Storage>,
        name: &str,
        options: Options,
        from: Lsn,
        replay: &mut Replay<'_>,
    ) -> Result<Log, Error> {
        options.validate()?;
        let segments = segments(storage, name, &options);
        let end = recovery::recover(&segments, from)?;
        recovery::replay(&segments, from, end, replay)?;
        let current = segments.number_before(end);
        let file = segments.open(current)?;
        let behind = segments.numbers()?.into_iter().filter(|&number| number < current).collect();
        let supply = Supply::new(segments.clone(), behind, current);
        let recycled = from.get().max(HEADER_BYTES);
        let core = Core::new(segments, options, end, file, supply, recycled);
        Ok(Log { core: Arc::new(core), background: Background::default() })
    }

    /// Appends a record and answers its LSN. It is durable once a wait for that LSN has returned.
    ///
    /// Never waits for the disk, and allocates nothing in a steady state.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Full`], [`Error::Poisoned`]; the log is as before.
    pub fn append(&self, payload: &[u8]) -> Result<Lsn, Error> {
        self.core.append_then(payload, || ())
    }

    /// Appends a record and runs `then` under the append lock, atomically with the append. For counters only:
    /// every other append waits for it, and it must not call the log.
    ///
    /// # Errors
    /// As [`Log::append`]; `then` was not run.
    pub fn append_then<R>(&self, payload: &[u8], then: impl FnOnce() -> R) -> Result<Lsn, Error> {
        self.core.append_then(payload, then)
    }

    /// The position behind the last record appended.
    pub fn end(&self) -> Lsn {
        Lsn::new(self.core.end.load(Ordering::Acquire))
    }

    /// The position up to which the log is durable.
    pub fn durable(&self) -> Lsn {
        Lsn::new(self.core.durable.load(Ordering::Acquire))
    }

    /// Runs `f` with the log's end while nobody can append. `f` must not call the log.
    pub fn snapshot<R>(&self, f: impl FnOnce(Lsn) -> R) -> R {
        let tail = self.core.tail.lock();
        f(Lsn::new(tail.end))
    }

    /// Blocks until the log is durable up to `lsn`, by the commit policy.
    ///
    /// # Errors
    /// [`Error::Poisoned`]: nobody knows whether the record will survive. [`Error::Beyond`] for an LSN that
    /// this log never gave.
    pub fn wait(&self, lsn: Lsn) -> Result<(), Error> {
        if self.core.durable.load(Ordering::Acquire) >= lsn.get() {
            return Ok(());
        }
        self.core.arrive();
        self.core.wait(lsn.get(), Urgency::ByPolicy)
    }

    /// [`Log::wait`] as a future, for any runtime.
    pub fn wait_async(self: &Arc<Self>, lsn: Lsn) -> Durable {
        Durable::new(Arc::clone(self), lsn)
    }

    /// Makes everything appended so far durable at once, whatever the commit policy.
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    pub fn flush(&self) -> Result<(), Error> {
        self.core.wait(self.core.end.load(Ordering::Acquire), Urgency::AtOnce)
    }

    /// Back-pressure, to be asked for before any latch is taken: waits for a flush where the records in
    /// memory are past [`Options::buffer_bytes`].
    ///
    /// # Errors
    /// [`Error::Poisoned`].
    pub fn admit(&self) -> Result<(), Error> {
        self.core.admit()
    }

    /// Whether the log takes records. Never waits.
    ///
    /// # Errors
    /// [`Error::Poisoned`]: a write or sync has failed, or the log was closed.
    pub fn check(&self) -> Result<(), Error> {
        self.core.check_poison()
    }

    /// Whether [`admit`](Self::admit) would wait.
    pub fn is_crowded(&self) -> bool {
        self.core.is_crowded()
    }

    /// Makes everything appended so far durable, and stops the log for good: every later append or wait for
    /// more gets [`Error::Poisoned`] by [`Error::Closed`]. When this returns, nobody writes to the log's files
    /// any more, whoever holds it, so that they may be opened again.
    ///
    /// # Errors
    /// [`Error::Poisoned`] if the log had stopped before.
    pub fn close(&self) -> Result<(), Error> {
        let flushed = self.flush();
        self.core.close();
        flushed
    }

    /// Gives up what is needed only to recover from before `redo`: segments wholly behind it are renamed into
    /// spare ones, or removed. A `redo` that is not durable counts as far as it is.
    ///
    /// # Errors
    /// [`Error::Io`], after which the log is poisoned; [`Error::Poisoned`].
    pub fn recycle(&self, redo: Lsn) -> Result<(), Error> {
        let core = &self.core;
        core.check_poison()?;
        let redo = redo.get().min(core.durable.load(Ordering::Acquire));
        if let Err(error) =
            core.supply.recycle(core.segments.number_before(redo) + u64::from(planted!("recycled-too-early")))
        {
            core.poison(error.clone());
            return Err(error);
        }
        core.recycled.fetch_max(redo, Ordering::AcqRel);
        Ok(())
    }

    /// The bytes between the last recycle point and the end.
    pub fn bytes(&self) -> u64 {
        // The point first: it never passes an end that is read later.
        let recycled = self.core.recycled.load(Ordering::Acquire);
        self.end().get() - recycled
    }

    /// The log's size limit in bytes: [`Options::max_bytes`].
    pub fn max_bytes(&self) -> u64 {
        self.core.options.max_bytes
    }

    /// What this log has done since it was opened.
    pub fn stats(&self) -> Stats {
        let (appends, appended_bytes) = {
            let tail = self.core.tail.lock();
            (tail.appends, tail.appended_bytes)
        };
        let counters = &self.core.counters;
        Stats {
            appends,
            appended_bytes,
            groups: read(&counters.groups),
            served: read(&counters.served),
            syncs: read(&counters.syncs),
            synced_bytes: read(&counters.synced_bytes),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.background.stop(&self.core);
    }
}

fn segments(storage: Arc<dyn Storage>, name: &str, options: &Options) -> Segments {
    Segments { storage, name: name.to_owned(), segment_bytes: options.segment_bytes, sync: options.sync }
}
