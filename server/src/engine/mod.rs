//! The database as asynchronous code sees it.
//!
//! A request never blocks the runtime. An operation is first tried where it is cheap, in memory on the runtime's own
//! thread ([`tree::InMemory`]); what would have to wait (a page on disk, a split, the baseline's lock) goes to the
//! runtime's bounded pool of blocking threads; and durability is awaited as a future, by no thread at all.

mod batch;
mod precondition;
mod scan;

pub use batch::{Operation, Outcome};
pub use precondition::{Etag, Precondition};
pub use scan::{Chunk, Chunks, KeyRange};

use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;
use tree::{CommitFuture, Condition, Database, Table};

use crate::error::ApiError;

/// When an operation is answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Consistency {
    /// When no crash can take back what the answer says.
    Strong,
    /// When it is applied: a crash may still take it back.
    #[default]
    Eventual,
}

/// The database, and the way to it from asynchronous code. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    database: Arc<Database>,
}

/// The outcome of an operation in the tree, and what a strong answer waits for.
type Ticketed<T> = tree::Result<(T, CommitFuture)>;

impl Engine {
    /// An engine over an open database.
    pub fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    /// The database itself.
    pub fn database(&self) -> &Arc<Database> {
        &self.database
    }

    /// The table of that name.
    ///
    /// # Errors
    /// 404: there is none.
    pub fn table(&self, name: &str) -> Result<Table, ApiError> {
        self.database
            .table(name)
            .ok_or_else(|| ApiError::not_found(format!("there is no table {name:?}; create it first")))
    }

    /// The value of a key.
    ///
    /// # Errors
    /// Those of [`Table::get`].
    pub async fn get(
        &self,
        table: &Table,
        key: &[u8],
        consistency: Consistency,
    ) -> Result<Option<Vec<u8>>, ApiError> {
        let at_once = table.in_memory().fetch(key).map(|(value, ticket)| (value, ticket.into_future()));
        let fetched = or_waiting(at_once, || {
            let (table, key) = (table.clone(), key.to_vec());
            move || table.fetch(&key).map(|(value, ticket)| (value, ticket.into_future()))
        });
        settle(fetched.await?, consistency).await
    }

    /// Sets the value of a key if the precondition holds; whether it did.
    ///
    /// # Errors
    /// Those of [`Table::put`]. Where the log fails, nobody knows whether the write will survive.
    pub async fn put(
        &self,
        table: &Table,
        key: &[u8],
        value: &[u8],
        precondition: &Precondition,
        consistency: Consistency,
    ) -> Result<bool, ApiError> {
        match precondition {
            Precondition::None => self.put_if(table, key, value, Expected::Anything, consistency).await,
            Precondition::Absent => self.put_if(table, key, value, Expected::Absent, consistency).await,
            _ => loop {
                let Some(current) = self.judged(table, key, precondition, consistency).await? else {
                    return Ok(false);
                };
                // Applied only if nobody has changed the value since it was judged; else it is judged anew.
                if self.put_if(table, key, value, Expected::of(current), consistency).await? {
                    return Ok(true);
                }
            },
        }
    }

    /// Removes a key if the precondition holds.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub async fn delete(
        &self,
        table: &Table,
        key: &[u8],
        precondition: &Precondition,
        consistency: Consistency,
    ) -> Result<Deleted, ApiError> {
        if *precondition == Precondition::None {
            let removed = self.delete_if(table, key, Expected::Anything, consistency).await?;
            return Ok(if removed { Deleted::Removed } else { Deleted::Missing });
        }
        loop {
            match self.judged(table, key, precondition, consistency).await? {
                None => return Ok(Deleted::Refused),
                Some(None) => return Ok(Deleted::Missing),
                Some(current) => {
                    if self.delete_if(table, key, Expected::of(current), consistency).await? {
                        return Ok(Deleted::Removed);
                    }
                }
            }
        }
    }

    /// The number of items.
    ///
    /// # Errors
    /// Those of [`Table::count`].
    pub async fn count(&self, table: &Table) -> Result<u64, ApiError> {
        let (items, ticket) = table.fetch_count()?;
        let durable = ticket.into_future();
        durable.await?;
        Ok(items)
    }

    /// Does on a thread that may block what cannot be done otherwise.
    ///
    /// # Errors
    /// What `work` answers; 500 where it panicked.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> tree::Result<T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let database = self.database.clone();
        Ok(on_blocking_thread(move || work(&database)).await??)
    }

    /// The value that the precondition holds for, or `None` where it does not.
    async fn judged(
        &self,
        table: &Table,
        key: &[u8],
        precondition: &Precondition,
        consistency: Consistency,
    ) -> Result<Option<Option<Vec<u8>>>, ApiError> {
        let current = self.get(table, key, consistency).await?;
        Ok(precondition.holds(current.as_deref()).then_some(current))
    }

    async fn put_if(
        &self,
        table: &Table,
        key: &[u8],
        value: &[u8],
        expected: Expected,
        consistency: Consistency,
    ) -> Result<bool, ApiError> {
        let at_once = ticketed(table.in_memory().put_if(key, value, expected.condition()));
        let written = or_waiting(at_once, || {
            let (table, key, value) = (table.clone(), key.to_vec(), value.to_vec());
            move || ticketed(table.put_if(&key, &value, expected.condition()))
        });
        settle(written.await?, consistency).await
    }

    async fn delete_if(
        &self,
        table: &Table,
        key: &[u8],
        expected: Expected,
        consistency: Consistency,
    ) -> Result<bool, ApiError> {
        let at_once = ticketed(table.in_memory().delete_if(key, expected.condition()));
        let removed = or_waiting(at_once, || {
            let (table, key) = (table.clone(), key.to_vec());
            move || ticketed(table.delete_if(&key, expected.condition()))
        });
        settle(removed.await?, consistency).await
    }
}

/// What became of a delete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deleted {
    /// The key is gone.
    Removed,
    /// It was not there.
    Missing,
    /// The precondition did not hold.
    Refused,
}

/// An owned [`Condition`].
enum Expected {
    Anything,
    Absent,
    Value(Vec<u8>),
}

impl Expected {
    fn of(current: Option<Vec<u8>>) -> Self {
        current.map_or(Expected::Absent, Expected::Value)
    }

    fn condition(&self) -> Condition<'_> {
        match self {
            Expected::Anything => Condition::Always,
            Expected::Absent => Condition::Absent,
            Expected::Value(value) => Condition::Equals(value),
        }
    }
}

fn ticketed(commit: tree::Result<tree::Commit<'_>>) -> Ticketed<bool> {
    commit.map(|commit| (commit.applied(), commit.into_future()))
}

/// The outcome at once, or, where that would have been to wait, the one of the same work on a thread that may.
async fn or_waiting<T, W>(
    at_once: Ticketed<T>,
    work: impl FnOnce() -> W,
) -> Result<(T, CommitFuture), ApiError>
where
    T: Send + 'static,
    W: FnOnce() -> Ticketed<T> + Send + 'static,
{
    match at_once {
        Err(tree::Error::WouldWait) => Ok(on_blocking_thread(work()).await??),
        outcome => Ok(outcome?),
    }
}

/// Waits for durability where the answer promises it.
async fn settle<T>((outcome, durable): (T, CommitFuture), consistency: Consistency) -> Result<T, ApiError> {
    if consistency == Consistency::Strong {
        durable.await?;
    }
    Ok(outcome)
}

async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    // Whose request is gone before a thread was free needs no answer: such work must not pile up behind a slow disk.
    let done = AbortOnDropHandle::new(tokio::task::spawn_blocking(work)).await;
    done.map_err(|error| {
        ApiError::internal(format!("the operation was ended by a fault of the server: {error}"))
    })
}
