//! Several operations of one table by one request.

use std::collections::BTreeSet;

use tree::{Batch, Table};

use super::{Consistency, Engine, on_blocking_thread};
use crate::error::ApiError;

/// One operation of a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Sets the value of a key.
    Put {
        /// The key.
        key: String,
        /// The document, as it is stored.
        item: Vec<u8>,
    },
    /// Reads a key.
    Get {
        /// The key.
        key: String,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: String,
    },
}

impl Operation {
    /// The key.
    pub fn key(&self) -> &str {
        match self {
            Operation::Put { key, .. } | Operation::Get { key } | Operation::Delete { key } => key,
        }
    }
}

/// What an operation of a batch came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The write is done. A delete does not say whether the key was there.
    Done,
    /// What was read.
    Found(Vec<u8>),
    /// The key that was to be read is not there.
    Missing,
}

impl Engine {
    /// Does the writes of a batch, atomically for each partition, and its reads. The outcomes are in the order of the
    /// operations.
    ///
    /// # Errors
    /// 400: a key stands in it twice, so that the order would matter. 413: too many operations, or more than
    /// [`Batch::MAX_BYTES`] to read. Those of [`Table::apply`] and [`Table::get`].
    pub async fn batch(
        &self,
        table: &Table,
        operations: Vec<Operation>,
        consistency: Consistency,
    ) -> Result<Vec<Outcome>, ApiError> {
        check(&operations)?;
        let table = table.clone();
        // Reads come first: when they fail or are too much, nothing has been written. No key stands in it twice, so
        // that the order changes no outcome.
        let work = move || -> Result<_, ApiError> {
            let (mut durable, mut bytes) = (Vec::new(), 0);
            let mut batch = Batch::new();
            let mut outcomes = Vec::with_capacity(operations.len());
            for operation in &operations {
                match operation {
                    Operation::Put { key, item } => _ = batch.put(key.as_bytes(), item.as_slice()),
                    Operation::Delete { key } => _ = batch.delete(key.as_bytes()),
                    Operation::Get { key } => {
                        let (value, ticket) = table.fetch(key.as_bytes())?;
                        durable.push(ticket.into_future());
                        bytes += value.as_ref().map_or(0, Vec::len);
                        if bytes > Batch::MAX_BYTES {
                            return Err(too_much_to_read());
                        }
                        outcomes.push(value.map_or(Outcome::Missing, Outcome::Found));
                        continue;
                    }
                }
                outcomes.push(Outcome::Done);
            }
            if !batch.is_empty() {
                durable.push(table.apply(&batch)?.into_future());
            }
            Ok((outcomes, durable))
        };
        let (outcomes, durable) = on_blocking_thread(work).await??;
        if consistency == Consistency::Strong {
            for durable in durable {
                durable.await?;
            }
        }
        Ok(outcomes)
    }
}

fn too_much_to_read() -> ApiError {
    let most = Batch::MAX_BYTES;
    let message = format!("what the batch reads has more than {most} bytes, so nothing was done: split it");
    ApiError::new(axum::http::StatusCode::PAYLOAD_TOO_LARGE, message)
}

fn check(operations: &[Operation]) -> Result<(), ApiError> {
    if operations.len() > Batch::MAX_WRITES {
        let (given, most) = (operations.len(), Batch::MAX_WRITES);
        let message = format!("{given} operations were given; a batch holds at most {most}: split it");
        return Err(ApiError::new(axum::http::StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    let mut keys = BTreeSet::new();
    match operations.iter().map(Operation::key).find(|key| !keys.insert(*key)) {
        None => Ok(()),
        Some(key) => Err(ApiError::bad_request(format!(
            "the batch holds the key {key:?} twice; give each key once, or send another batch"
        ))),
    }
}
