//! The body of a request on its way in.
//!
//! A body that trickles must not hold one of the places of requests in flight: its place is given back while bytes
//! are awaited, and taken again when they are there. And all bodies together may take so much memory, whoever sends
//! them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, timeout};

use super::gauges::Gauges;

/// How long, and how many bytes, of a body that nobody wants are still taken, so that the client reads its answer
/// before it finds the connection closed.
const UNWANTED_TIME: Duration = Duration::from_secs(2);
const UNWANTED_BYTES: u64 = 64 << 20;
/// What the listener takes without help.
const SMALL_BYTES: u64 = 8 << 10;

/// Where the place of a request stands.
const HELD: u8 = 0;
const LENT: u8 = 1;
const LEFT: u8 = 2;

/// Where its body stands.
const FINE: u8 = 0;
const AWAITED: u8 = 1;
const TOO_MUCH: u8 = 2;
const STALLED: u8 = 3;

/// A place among the requests in flight; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    gauges: Arc<Gauges>,
    place: AtomicU8,
    body: AtomicU8,
    bytes: AtomicU64,
}

/// What became of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// It is there, or nobody has asked for it.
    Fine,
    /// It is being waited for.
    Awaited,
    /// It was refused, because all bodies together were too large.
    TooMuch,
    /// No byte of it came for too long.
    Stalled,
}

impl Place {
    /// A place, if fewer than `max` requests are in flight.
    pub(super) fn take(gauges: &Arc<Gauges>, max: u64) -> Option<Self> {
        if gauges.in_flight.fetch_add(1, Ordering::Relaxed) >= max {
            gauges.in_flight.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let shared = Shared {
            gauges: gauges.clone(),
            place: AtomicU8::new(HELD),
            body: AtomicU8::new(FINE),
            bytes: AtomicU64::new(0),
        };
        Some(Self(Arc::new(shared)))
    }

    /// The body, watched: at most `max_bytes` with the bodies of all others. With `stall`, its bytes are not counted,
    /// but none may be waited for that long.
    pub(super) fn watch(&self, body: Body, max_bytes: u64, stall: Option<Duration>, linger: bool) -> Body {
        if body.is_end_stream() {
            return body;
        }
        let shared = self.0.clone();
        Body::new(Arriving { body: Some(body), shared, max_bytes, stall: stall.map(Stall::new), linger })
    }

    pub(super) fn fate(&self) -> Fate {
        match self.0.body.load(Ordering::Relaxed) {
            AWAITED => Fate::Awaited,
            TOO_MUCH => Fate::TooMuch,
            STALLED => Fate::Stalled,
            _ => Fate::Fine,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Shared { gauges, place, bytes, .. } = &*self.0;
        if place.swap(LEFT, Ordering::Relaxed) == HELD {
            gauges.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        gauges.body_bytes.fetch_sub(bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Shared {
    fn moves(&self, from: u8, to: u8) -> bool {
        self.place.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Other requests may go ahead while this one waits for its client.
    fn lend(&self) {
        self.body.store(AWAITED, Ordering::Relaxed);
        if self.moves(HELD, LENT) {
            self.gauges.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Back in flight. This may pass the limit, by no more than there are connections: the request was let in, and
    /// its client has done its part.
    fn take_back(&self) {
        self.body.store(FINE, Ordering::Relaxed);
        if self.moves(LENT, HELD) {
            self.gauges.in_flight.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether that many bytes more are too many.
    fn passes(&self, bytes: u64, max: u64) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.gauges.body_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > max
    }
}

/// A time-out that starts anew with every byte.
struct Stall {
    sleep: Pin<Box<Sleep>>,
    limit: Duration,
}

impl Stall {
    fn new(limit: Duration) -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(limit)), limit }
    }

    fn restart(&mut self) {
        self.sleep.as_mut().reset(Instant::now() + self.limit);
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.sleep.as_mut().poll(cx).is_ready()
    }
}

struct Arriving {
    /// None after the last frame, or after a refusal.
    body: Option<Body>,
    shared: Arc<Shared>,
    max_bytes: u64,
    stall: Option<Stall>,
    linger: bool,
}

impl Arriving {
    fn end(&mut self, fate: u8) {
        self.body = None;
        self.shared.body.store(fate, Ordering::Relaxed);
    }

    fn refuse(&mut self, fate: u8, message: &'static str) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.end(fate);
        Poll::Ready(Some(Err(axum::Error::new(message))))
    }

    /// Bytes have come: whether they are still welcome.
    fn admits(&mut self, bytes: u64) -> bool {
        match &mut self.stall {
            Some(stall) => {
                stall.restart();
                true
            }
            None => !self.shared.passes(bytes, self.max_bytes),
        }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            if this.stall.as_mut().is_some_and(|stall| stall.is_over(cx)) {
                return this.refuse(STALLED, "its client stopped sending");
            }
            this.shared.lend();
            return Poll::Pending;
        };
        this.shared.take_back();
        let Some(Ok(data)) = &frame else {
            this.end(FINE);
            return Poll::Ready(frame);
        };
        let bytes = data.data_ref().map_or(0, Bytes::len) as u64;
        if !this.admits(bytes) {
            return this.refuse(TOO_MUCH, "too much is being sent at once");
        }
        if this.body.as_ref().is_some_and(HttpBody::is_end_stream) {
            this.end(FINE);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Arriving {
    /// A body that was refused unread is still taken for a moment: if the connection were closed at once, the rest of
    /// the body would meet a reset, and the reset would overtake the answer.
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|_| self.linger) else { return };
        if body.size_hint().upper().is_some_and(|bytes| bytes <= SMALL_BYTES) {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(UNWANTED_TIME, discard(body)));
        }
    }
}

async fn discard(mut body: Body) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
        if bytes > UNWANTED_BYTES {
            return;
        }
    }
}
