//! What is going on at this moment, in numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts that the snapshot and the metrics show.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Requests that are being worked on. One whose body has not arrived is none of them.
    pub in_flight: AtomicU64,
    /// Open connections.
    pub connections: AtomicU64,
    /// Requests and connections refused since the start because there were too many.
    pub shed: AtomicU64,
    /// Bytes of bodies that have arrived for requests that are not answered yet.
    pub body_bytes: AtomicU64,
    /// Bytes of large answers that their clients have not taken yet.
    pub answer_bytes: AtomicU64,
}

impl Gauges {
    /// Counts one refusal; whether it is the time to log it: the first one, and every power of two after that, so
    /// that an overload does not become a flood of log lines.
    pub(crate) fn count_shed(&self) -> Option<u64> {
        let total = self.shed.fetch_add(1, Ordering::Relaxed) + 1;
        total.is_power_of_two().then_some(total)
    }

    /// Counts an answer of that many bytes for as long as what it returns lives; none where all answers together
    /// would have more than `max`.
    pub(crate) fn answer(self: &Arc<Self>, bytes: u64, max: u64) -> Option<HeldAnswer> {
        let held = HeldAnswer(Arc::new(Held { gauges: self.clone(), bytes }));
        (self.answer_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= max).then_some(held)
    }

    /// Counts a connection for as long as the answer lives.
    pub(crate) fn connection(self: &Arc<Self>) -> OpenConnection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self.clone())
    }
}

/// A connection that is counted.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<Gauges>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A large answer that is counted until its last byte was handed to the connection. It travels as an extension of the
/// response.
#[derive(Clone, Debug)]
pub(crate) struct HeldAnswer(#[allow(dead_code, reason = "held for its Drop")] Arc<Held>);

#[derive(Debug)]
struct Held {
    gauges: Arc<Gauges>,
    bytes: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauges.answer_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
