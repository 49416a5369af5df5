//! Which segments exist, and how a new one comes to be before it is needed.
//!
//! ```text
//! behind (a checkpoint lets them go)   current   ready (at most 2)
//! [ 5 ] [ 6 ] [ 7 ]                    [ 8 ]     [ 9 ] [ 10 ]
//!    \__________________ renamed ______________________/
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use crate::Error;
use crate::segment::{MakeError, Segments};
use crate::storage::File;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// More spare segments than this are removed.
const MOST_READY: usize = 2;

/// The segments of one log.
#[derive(Debug)]
pub(crate) struct Supply {
    segments: Segments,
    state: Mutex<State>,
    /// Whether no segment is ready, as far as one can tell without the lock.
    wanting: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// The numbers of the older segments, ascending.
    behind: VecDeque<u64>,
    /// The segment that is written.
    current: u64,
    /// The segments `current + 1`, `current + 2`: each has its full size and a durable name.
    ready: VecDeque<Arc<dyn File>>,
    /// A segment that could not be made ahead of need, and is not tried again before it is needed.
    given_up: Option<u64>,
}

impl State {
    fn wants_one(&self) -> bool {
        self.ready.is_empty() && self.given_up != Some(self.current + 1)
    }
}

impl Supply {
    pub(crate) fn new(segments: Segments, behind: VecDeque<u64>, current: u64) -> Supply {
        let state = State { behind, current, ready: VecDeque::new(), given_up: None };
        Supply { segments, state: Mutex::new(state), wanting: AtomicBool::new(true) }
    }

    /// The next segment to write; makes one where none is ready. Only the leader of a flush calls this.
    pub(crate) fn next(&self) -> Result<(u64, Arc<dyn File>), Error> {
        let mut state = self.state.lock();
        let number = state.current + 1;
        let file = match state.ready.pop_front() {
            Some(file) => file,
            None => self.segments.make(number, &[]).map_err(MakeError::into_error)?,
        };
        let current = std::mem::replace(&mut state.current, number);
        state.behind.push_back(current);
        self.wanting.store(state.wants_one(), Ordering::Release);
        Ok((number, file))
    }

    /// Whether [`Supply::prepare`] has something to do.
    pub(crate) fn wants_one(&self) -> bool {
        self.wanting.load(Ordering::Acquire)
    }

    /// Makes the next segment ahead of need, unless one is ready or someone else is at it.
    ///
    /// # Errors
    /// Only where the folder's state is unknown after it.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        let Some(mut state) = self.state.try_lock() else { return Ok(()) };
        if !state.wants_one() {
            return Ok(());
        }
        let number = state.current + 1;
        match self.segments.make(number, &[]) {
            Ok(file) => state.ready.push_back(file),
            Err(MakeError::Harmless(_)) => state.given_up = Some(number),
            Err(MakeError::Harmful(error)) => return Err(error),
        }
        self.wanting.store(state.wants_one(), Ordering::Release);
        Ok(())
    }

    /// Waits for the segment that is being made, if one is, and makes no more ahead of need.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.given_up = Some(state.current + 1);
        self.wanting.store(false, Ordering::Release);
    }

    /// Renames the segments before `keep` into the next ones, and removes those that are too many.
    ///
    /// # Errors
    /// The folder's state is unknown after any.
    pub(crate) fn recycle(&self, keep: u64) -> Result<(), Error> {
        let mut state = self.state.lock();
        let mut renamed = Vec::new();
        let before = state.behind.len();
        while let Some(&oldest) = state.behind.front().filter(|&&number| number < keep) {
            let ready = state.ready.len() + renamed.len();
            if ready < MOST_READY {
                let number = state.current + 1 + ready as u64;
                self.segments.rename(oldest, number)?;
                renamed.push(self.segments.open(number)?);
            } else {
                self.segments.remove(oldest)?;
            }
            state.behind.pop_front();
        }
        if state.behind.len() < before {
            // A flush must not use a renamed segment before the folder is durable: after a power loss, its
            // records would stand under the old name, where nobody looks for them.
            if !planted!("renamed-segment-unsynced") {
                self.segments.sync_dir()?;
            }
            state.ready.extend(renamed);
            self.wanting.store(state.wants_one(), Ordering::Release);
        }
        Ok(())
    }
}
