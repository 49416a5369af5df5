//! What a connection is waiting for, and since when.
//!
//! The connection's reads, requests and answers leave marks (no clock is read on their way); a timer looks at the
//! marks now and then, and a connection whose marks have not moved for as long as its state allows is given up.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::config::Config;
use crate::guard::HeldAnswer;

/// A client that takes fewer bytes than this of its answer while it is waited for takes none: answers to the pings of
/// HTTP/2 are no progress.
const LEAST_BYTES: u64 = 1 << 10;

/// The marks of a connection.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Requests whose headers were complete.
    requests: AtomicU64,
    /// Requests that are not answered to the last byte.
    open: AtomicU32,
    /// Answers of which a piece was handed out and no more was asked for since: their client does not read.
    untaken: AtomicU32,
    /// Bytes that the socket took.
    written: AtomicU64,
    /// Whether the socket takes no more at the moment.
    write_blocked: AtomicBool,
    /// Whether bytes came that belong to no request yet.
    head_began: AtomicBool,
    /// HTTP/2 has bytes that belong to no request: they do not begin one.
    http2: AtomicBool,
}

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Waiting {
    /// The rest of a request's headers.
    Head,
    /// A request.
    Request,
    /// The server itself: the guard bounds that time.
    Server,
    /// The client, to take its answer.
    Client,
}

impl Progress {
    fn now(&self) -> (Waiting, u64) {
        if self.write_blocked.load(Relaxed) || self.untaken.load(Relaxed) > 0 {
            return (Waiting::Client, self.written.load(Relaxed) / LEAST_BYTES);
        }
        if self.open.load(Relaxed) > 0 {
            return (Waiting::Server, 0);
        }
        let requests = self.requests.load(Relaxed);
        let begun = requests == 0 || self.head_began.load(Relaxed);
        let head = begun && !self.http2.load(Relaxed);
        (if head { Waiting::Head } else { Waiting::Request }, requests)
    }

    /// A request's headers are there.
    pub(super) fn begin(self: &Arc<Self>, http2: bool) -> Open {
        self.requests.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        self.head_began.store(false, Relaxed);
        self.http2.store(http2, Relaxed);
        Open(self.clone())
    }
}

/// How long a connection may wait for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) head: Duration,
    pub(super) request: Duration,
    pub(super) client: Duration,
}

impl Patience {
    pub(super) fn of(config: &Config) -> Self {
        let Config { header_timeout, idle_timeout, write_stall_timeout, .. } = *config;
        Self { head: header_timeout, request: idle_timeout, client: write_stall_timeout }
    }

    fn with(&self, waiting: Waiting) -> Duration {
        match waiting {
            Waiting::Head => self.head,
            Waiting::Request => self.request,
            Waiting::Client => self.client,
            Waiting::Server => Duration::MAX,
        }
    }

    /// How often to look: a wait is at most a quarter, or a second, longer than its limit.
    pub(super) fn period(&self) -> Duration {
        let shortest = self.head.min(self.request).min(self.client);
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }
}

/// Who looks at the marks of a connection.
#[derive(Debug)]
pub(super) struct Watch {
    progress: Arc<Progress>,
    patience: Patience,
    seen: (Waiting, u64),
    since: Instant,
}

impl Watch {
    pub(super) fn new(progress: Arc<Progress>, patience: Patience) -> Self {
        Self { seen: progress.now(), progress, patience, since: Instant::now() }
    }

    /// What the connection has been waiting for too long, if it has.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<Waiting> {
        let seen = self.progress.now();
        if seen != self.seen {
            (self.seen, self.since) = (seen, now);
        }
        (now - self.since >= self.patience.with(seen.0)).then_some(seen.0)
    }
}

/// A request that is not answered to its end.
#[derive(Debug)]
pub(super) struct Open(Arc<Progress>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// A stream whose reads and writes leave marks.
pub(super) struct Watched<S> {
    stream: S,
    progress: Arc<Progress>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, progress: Arc<Progress>) -> Self {
        Self { stream, progress }
    }

    fn wrote(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = outcome {
            self.progress.written.fetch_add(bytes as u64, Relaxed);
        }
        self.flushed(outcome)
    }

    fn flushed<T>(&self, outcome: Poll<T>) -> Poll<T> {
        self.progress.write_blocked.store(outcome.is_pending(), Relaxed);
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before && self.progress.open.load(Relaxed) == 0 {
            self.progress.head_began.store(true, Relaxed);
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.flushed(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.flushed(outcome)
    }
}

/// HTTP/2 takes a whole piece into memory as soon as there is room for one byte of it, so that pieces are small.
const HTTP2_PIECE: usize = 16 << 10;

/// The body of an answer that leaves marks as it is taken.
pub(super) struct Answer {
    body: Body,
    /// What is left of a piece that was too large.
    rest: Bytes,
    open: Open,
    handed_out: bool,
    _held: Option<HeldAnswer>,
}

impl Answer {
    pub(super) fn new(body: Body, open: Open, held: Option<HeldAnswer>) -> Self {
        Self { body, rest: Bytes::new(), open, handed_out: false, _held: held }
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = Pin::new(&mut self.body).poll_frame(cx);
            match frame {
                Poll::Ready(Some(Ok(frame))) if self.open.0.http2.load(Relaxed) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                frame => return frame,
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(HTTP2_PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn set_handed_out(&mut self, handed_out: bool) {
        let progress = &self.open.0;
        match (self.handed_out, handed_out) {
            (false, true) => _ = progress.untaken.fetch_add(1, Relaxed),
            (true, false) => _ = progress.untaken.fetch_sub(1, Relaxed),
            _ => {}
        }
        self.handed_out = handed_out;
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.set_handed_out(false);
        let frame = self.next(cx);
        if let Poll::Ready(Some(_)) = frame {
            self.set_handed_out(true);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest + body.lower());
        if let Some(upper) = body.upper() {
            hint.set_upper(rest + upper);
        }
        hint
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.set_handed_out(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> (Arc<Progress>, Watch) {
        let progress = Arc::new(Progress::default());
        let seconds = Duration::from_secs;
        let patience = Patience { head: seconds(1), request: seconds(10), client: seconds(5) };
        (progress.clone(), Watch::new(progress, patience))
    }

    #[test]
    fn a_connection_is_given_up_after_the_time_of_its_state() {
        let (progress, mut watch) = watch();
        let start = watch.since;
        let mut after = |tenths: u32| watch.overdue(start + tenths * Duration::from_millis(100));
        assert_eq!((after(9), after(10)), (None, Some(Waiting::Head)));
        let open = progress.begin(false);
        assert_eq!((after(11), after(9_999)), (None, None), "the server itself has all the time");
        drop(open);
        assert_eq!((after(10_000), after(10_099), after(10_100)), (None, None, Some(Waiting::Request)));
        progress.head_began.store(true, Relaxed);
        assert_eq!((after(10_101), after(10_111)), (None, Some(Waiting::Head)));
    }

    #[test]
    fn bytes_of_http2_begin_no_head() {
        let (progress, mut watch) = watch();
        drop(progress.begin(true));
        progress.head_began.store(true, Relaxed);
        assert_eq!(watch.overdue(watch.since + Duration::from_secs(2)), None);
        assert_eq!(watch.overdue(watch.since + Duration::from_secs(12)), Some(Waiting::Request));
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_is_the_clients_fault() {
        use http_body_util::BodyExt;
        let (progress, mut watch) = watch();
        let mut answer = Answer::new(Body::from("piece"), progress.begin(true), None);
        answer.frame().await.unwrap().unwrap();
        let start = Instant::now();
        assert_eq!(watch.overdue(start), None);
        assert_eq!(watch.overdue(start + Duration::from_secs(5)), Some(Waiting::Client));
        drop(answer);
        assert_eq!(watch.overdue(start + Duration::from_secs(5)), None);
    }
}
