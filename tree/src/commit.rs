//! The ticket of a write: what it takes to know that it will survive.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use wal::{Durable, Log, Lsn, planted};

use crate::error::{Error, Result};
use crate::sync::Arc;

/// A write that has been applied and logged, but may not be durable yet.
///
/// The write is visible to everyone already. It survives a crash once [`Commit::wait`] has returned, or the
/// ticket has been awaited. A ticket that is dropped is no rollback: the write becomes durable with one of
/// the next commits, or is lost in a crash before that.
#[derive(Debug)]
#[must_use = "the write is not durable before its ticket has been waited for"]
pub struct Commit<'t> {
    log: &'t Arc<Log>,
    lsn: Lsn,
    /// Further logs, where a batch went to partitions that have logs of their own.
    more: Vec<(&'t Arc<Log>, Lsn)>,
    applied: bool,
}

impl<'t> Commit<'t> {
    pub(crate) fn new(log: &'t Arc<Log>, lsn: Lsn, applied: bool) -> Self {
        Self { log, lsn, more: Vec::new(), applied }
    }

    /// Adds what another partition did for the same batch.
    pub(crate) fn join(mut self, other: Commit<'t>) -> Self {
        if Arc::ptr_eq(self.log, other.log) {
            self.lsn =
                if planted!("ticket-too-early") { self.lsn.min(other.lsn) } else { self.lsn.max(other.lsn) };
        } else {
            self.more.push((other.log, other.lsn));
        }
        self.more.extend(other.more);
        self
    }

    /// Whether the write took effect: `false` where the condition of a conditional write did not hold, or a
    /// key to be deleted was not there. To rely on a `false` answer, wait for the ticket as well.
    pub fn applied(&self) -> bool {
        self.applied
    }

    /// Blocks until the write is durable.
    ///
    /// # Errors
    /// The log has failed: nobody knows whether the write will survive.
    pub fn wait(self) -> Result<()> {
        self.log.wait(self.lsn)?;
        for (log, lsn) in self.more {
            log.wait(lsn)?;
        }
        Ok(())
    }
}

impl IntoFuture for Commit<'_> {
    type Output = Result<()>;
    type IntoFuture = CommitFuture;

    fn into_future(self) -> CommitFuture {
        let all = std::iter::once((self.log, self.lsn)).chain(self.more);
        CommitFuture { pending: all.filter(|(log, lsn)| log.durable() < *lsn).map(wait_for).collect() }
    }
}

fn wait_for((log, lsn): (&Arc<Log>, Lsn)) -> Durable {
    log.wait_async(lsn)
}

/// A [`Commit`] that is awaited, on any runtime.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct CommitFuture {
    pending: Vec<Durable>,
}

impl Future for CommitFuture {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        while let Some(next) = self.pending.last_mut() {
            match Pin::new(next).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Error::Log(error))),
                Poll::Ready(Ok(())) => self.pending.pop(),
            };
        }
        Poll::Ready(Ok(()))
    }
}
