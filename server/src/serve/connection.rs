//! One connection: HTTP/1 or HTTP/2, until the client goes, stalls, or the node stops.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tower::Service;
use tracing::debug;

use super::progress::{Answer, Patience, Progress, Watch, Watched};
use crate::config::Config;
use crate::guard::HeldAnswer;

/// Streams of one HTTP/2 connection: a client that needs more opens another.
const MAX_STREAMS: u32 = 64;
/// What a stream of HTTP/2 may hold back of its answer, and have on its way in, in bytes.
const HTTP2_BUFFER: u32 = 64 << 10;

/// How connections are served; the same for all of them.
#[derive(Clone)]
pub(super) struct Connections {
    builder: Arc<auto::Builder<TokioExecutor>>,
    router: Router,
    patience: Patience,
    stopping: CancellationToken,
}

impl Connections {
    pub(super) fn new(config: &Config, router: Router, stopping: CancellationToken) -> Self {
        let header_bytes = config.max_header_bytes;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            // Progress watches this time: hyper's own timer would also end connections that are only idle.
            .header_read_timeout(None)
            // Who has said all it has to say still gets its answer.
            .half_close(true)
            .max_buf_size(usize::try_from(header_bytes).unwrap_or(usize::MAX));
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_send_buf_size(HTTP2_BUFFER as usize)
            .initial_stream_window_size(HTTP2_BUFFER)
            .initial_connection_window_size(16 * HTTP2_BUFFER)
            .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX));
        let patience = Patience::of(config);
        Self { builder: Arc::new(builder), router, patience, stopping }
    }

    /// Serves a connection to its end.
    pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S) {
        let progress = Arc::new(Progress::default());
        let mut watch = Watch::new(progress.clone(), self.patience);
        let stream = TokioIo::new(Watched::new(stream, progress.clone()));
        let service = service_fn(|request| answer(self.router.clone(), progress.clone(), request));
        let mut connection = pin!(self.builder.serve_connection(stream, service));
        let period = self.patience.period();
        let mut timer = interval_at(tokio::time::Instant::now() + period, period);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_stopping = false;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        debug!(error, "a connection failed");
                    }
                    return;
                }
                () = self.stopping.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                _ = timer.tick() => {
                    if let Some(waiting) = watch.overdue(Instant::now()) {
                        debug!(?waiting, "a connection is given up");
                        return;
                    }
                }
            }
        }
    }
}

async fn answer(
    mut router: Router,
    progress: Arc<Progress>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let open = progress.begin(request.version() == Version::HTTP_2);
    let mut response = router.call(request.map(Body::new)).await?;
    let held = response.extensions_mut().remove::<HeldAnswer>();
    Ok(response.map(|body| Answer::new(body, open, held)))
}
