//! The log of one group, as the consensus engine wants it.

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use wal::{Lsn, planted};

use super::contents::Contents;
use super::record::Record;
use super::{GroupId, NodeLog};
use crate::consensus::{
    Entry, IOFlushed, LogId, LogState, OptionalSend, RaftLogReader, RaftLogStorage, Types, Vote,
};

/// One group's part of a [`NodeLog`].
#[derive(Debug)]
pub struct GroupLog {
    reader: GroupReader,
    node: NodeLog,
    id: GroupId,
    /// Appends that are to be reported when they are durable; made with the first one, as it takes a runtime.
    flushed: Option<mpsc::UnboundedSender<(Lsn, IOFlushed<Types>)>>,
}

/// Reads a group's log while others write it.
#[derive(Clone, Debug)]
pub struct GroupReader(Arc<Mutex<Contents>>);

impl GroupLog {
    pub(super) fn new(node: NodeLog, id: GroupId, contents: Arc<Mutex<Contents>>) -> Self {
        Self { reader: GroupReader(contents), node, id, flushed: None }
    }

    /// Writes a record and does what it says; the position at which it is durable.
    fn write(&self, record: Record) -> io::Result<Lsn> {
        let at = self.node.0.log.end();
        let mut contents = self.reader.0.lock();
        if !contents.takes(&record) {
            let last = contents.last();
            return Err(io::Error::other(format!("an entry of {} leaves a hole behind {last:?}", self.id)));
        }
        let lsn = self.node.append(self.id, &record).map_err(io::Error::other)?;
        contents.apply(record, at);
        Ok(lsn)
    }

    async fn durable(&self, lsn: Lsn) -> io::Result<()> {
        self.node.0.log.wait_async(lsn).await.map_err(io::Error::other)
    }

    /// Reports appends in their order, each when it is durable.
    fn report(&mut self, lsn: Lsn, callback: IOFlushed<Types>) {
        let log = self.node.0.log.clone();
        let sender = self.flushed.get_or_insert_with(|| {
            let (sender, mut receiver) = mpsc::unbounded_channel::<(Lsn, IOFlushed<Types>)>();
            tokio::spawn(async move {
                while let Some((lsn, callback)) = receiver.recv().await {
                    let lsn = if planted!("raft-reported-early") { Lsn::ZERO } else { lsn };
                    callback.io_completed(log.wait_async(lsn).await.map_err(io::Error::other));
                }
            });
            sender
        });
        // The task ends with the sender: it is there.
        let _ = sender.send((lsn, callback));
    }
}

impl RaftLogReader<Types> for GroupReader {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> io::Result<Vec<Entry>> {
        Ok(self.0.lock().range(range))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.0.lock().vote)
    }
}

impl RaftLogStorage<Types> for GroupLog {
    type LogReader = GroupReader;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let contents = self.reader.0.lock();
        Ok(LogState { last_purged_log_id: contents.purged, last_log_id: contents.last() })
    }

    async fn get_log_reader(&mut self) -> GroupReader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let lsn = self.write(Record::Vote(*vote))?;
        if planted!("raft-vote-unwaited") {
            return Ok(());
        }
        self.durable(lsn).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        // Not waited for: one that is older than the truth is true as well.
        self.write(Record::Committed(committed)).map(drop)
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.reader.0.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut last = Lsn::ZERO;
        for entry in entries {
            last = self.write(Record::Entry(entry))?;
        }
        self.report(last, callback);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        // Not waited for: what comes behind it in the log is durable only together with it.
        self.write(Record::TruncatedAfter(last)).map(drop)
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.write(Record::Purged(upto)).map(drop)
    }
}
