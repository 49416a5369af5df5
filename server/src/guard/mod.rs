//! What every request passes before its handler sees it, in this order:
//!
//! 1. it has a name (`request_id.rs`), which comes back in `X-Request-ID` and stands in logs;
//! 2. its URL is not too long (414), and there is room among the requests in flight (`arrival.rs`), else 503 at once,
//!    before the body is read: what was admitted keeps its latency;
//! 3. it bears a token of the right role (`access.rs`), else 401 or 403;
//! 4. it is answered within the request time-out: 408 where its body was still being waited for, else 503. A write
//!    that was not answered in time may still take effect, and the answer says so;
//! 5. a fault of a handler costs this request only (500).
//!
//! After that it is counted and logged. What a request is comes from the route that was chosen for it
//! (`operation.rs`).

mod access;
mod arrival;
mod cors;
mod gauges;
pub mod operation;
mod request_id;

use std::any::Any;
use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::EXPECT;
use axum::http::{Method, StatusCode, Uri, Version};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use percent_encoding::percent_decode_str;
use tokio::time::timeout;
use tracing::{Instrument, debug, debug_span, warn};

use crate::config::{Access, Config, units};
use crate::error::ApiError;
use crate::metrics::Metrics;
use arrival::{Fate, Place};
use operation::Operation;
use request_id::RequestIds;

pub use gauges::Gauges;
pub(crate) use gauges::{HeldAnswer, OpenConnection};
pub use request_id::X_REQUEST_ID;

/// Bytes of an answer that do not count: as many as a connection's buffers.
const SMALL_ANSWER: u64 = 16 << 10;

/// Tells whether a table of that name exists: only such names may become labels of metrics.
pub type KnowsTable = dyn Fn(&str) -> bool + Send + Sync;

/// The guard of a node. Cheap to clone.
#[derive(Clone)]
pub struct Guard(Arc<Rules>);

struct Rules {
    access: Access,
    max_in_flight: u64,
    max_url: usize,
    max_body_memory: u64,
    request_timeout: Duration,
    gauges: Arc<Gauges>,
    metrics: Arc<Metrics>,
    knows_table: Box<KnowsTable>,
    ids: RequestIds,
    failures: AtomicU64,
}

impl Guard {
    /// A guard by these settings.
    pub fn new(
        config: &Config,
        gauges: Arc<Gauges>,
        metrics: Arc<Metrics>,
        knows_table: Box<KnowsTable>,
    ) -> Self {
        Self(Arc::new(Rules {
            access: config.access.clone(),
            max_in_flight: config.max_in_flight,
            max_url: usize::try_from(config.max_url).unwrap_or(usize::MAX),
            max_body_memory: config.max_body_memory,
            request_timeout: config.request_timeout,
            gauges,
            metrics,
            knows_table,
            ids: RequestIds::new(),
            failures: AtomicU64::new(0),
        }))
    }

    /// The router with this guard before all its routes, and with answers that pages of `cors_origin` may read.
    pub fn protect(self, router: Router, cors_origin: &str) -> Router {
        router.layer(from_fn_with_state(self, pass)).layer(cors::layer(cors_origin))
    }
}

async fn pass(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let rules = &*guard.0;
    let method = request.method().clone();
    let uri = request.uri().clone();
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let operation = operation::of(&method, route);
    let id = rules.ids.of(request.headers());
    let name = id.to_str().unwrap_or_default();
    let span = debug_span!("request", id = name, %method, path = uri.path(), operation = operation.name);
    let mut response = match rules.admit(&operation, &request) {
        Ok(place) => rules.answer(&operation, place, request, next).instrument(span).await,
        Err(refusal) => *refusal,
    };
    let elapsed = started.elapsed();
    rules.record(&operation, &method, &uri, &response, elapsed);
    rules.log(name, &method, &uri, &response, elapsed);
    response.headers_mut().insert(X_REQUEST_ID, id);
    response
}

impl Rules {
    /// A place for the request, or its refusal: whatever can be decided without its body.
    fn admit(&self, operation: &Operation, request: &Request) -> Result<Place, Box<Response>> {
        let uri = request.uri();
        let length = uri.path_and_query().map_or(0, |path| path.as_str().len());
        if length > self.max_url {
            let message =
                format!("the URL has {length} bytes, and {} are the most that is taken", self.max_url);
            return Err(Box::new(ApiError::new(StatusCode::URI_TOO_LONG, message).into_response()));
        }
        let max = if operation.always_admitted { u64::MAX } else { self.max_in_flight };
        let Some(place) = Place::take(&self.gauges, max) else {
            return Err(Box::new(self.shed("too many requests are in flight")));
        };
        access::authorize(&self.access, operation, request.headers(), uri)
            .map_err(|refused| Box::new(refused.into_response()))?;
        Ok(place)
    }

    async fn answer(&self, operation: &Operation, place: Place, request: Request, next: Next) -> Response {
        // Who expects a "100 Continue" sends nothing before it; and only HTTP/1 has a connection to lose.
        let linger = request.version() != Version::HTTP_2 && !request.headers().contains_key(EXPECT);
        let stall = operation.long.then_some(self.request_timeout);
        let request = request.map(|body| place.watch(body, self.max_body_memory, stall, linger));
        let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
        let outcome =
            if operation.long { Ok(answer.await) } else { timeout(self.request_timeout, answer).await };
        match (outcome, place.fate()) {
            (_, Fate::TooMuch) => self.shed("the bodies of all requests together are too large"),
            (Err(_), Fate::Awaited) | (_, Fate::Stalled) => self.late_body(),
            (Err(_), _) => self.late_answer(operation),
            (Ok(Err(panic)), _) => fault(&*panic),
            (Ok(Ok(response)), _) => self.hold(response),
        }
    }

    /// A large answer takes memory until its client has taken it, however long ago the request was done.
    fn hold(&self, mut response: Response) -> Response {
        let bytes = response.body().size_hint().exact().unwrap_or(0);
        if bytes <= SMALL_ANSWER {
            return response;
        }
        let Some(held) = self.gauges.answer(bytes, self.max_body_memory) else {
            return self.shed("the answers that clients have not taken yet are too large together");
        };
        response.extensions_mut().insert(held);
        response
    }

    fn shed(&self, reason: &'static str) -> Response {
        if let Some(total) = self.gauges.count_shed() {
            warn!(total, "{reason}: refusing some (logged at every doubling of the total)");
        }
        ApiError::busy(reason).into_response()
    }

    fn late_body(&self) -> Response {
        let limit = units::period_text(self.request_timeout);
        let message = format!("the body did not arrive within {limit}");
        ApiError::new(StatusCode::REQUEST_TIMEOUT, message).into_response()
    }

    fn late_answer(&self, operation: &Operation) -> Response {
        let limit = units::period_text(self.request_timeout);
        let outcome = "; it is unknown whether this write takes effect: read back before you repeat it";
        let outcome = if operation.writes { outcome } else { "" };
        ApiError::busy(format!("there was no answer within {limit}{outcome}")).into_response()
    }

    fn record(
        &self,
        operation: &Operation,
        method: &Method,
        uri: &Uri,
        response: &Response,
        elapsed: Duration,
    ) {
        let status = response.status();
        // A success has found the table, unless it was to remove it.
        let found = status.is_success() && operation.name != "delete_table";
        let table = table_of(uri.path());
        let table = table.filter(|name| found || (self.knows_table)(name)).unwrap_or_default();
        let method = operation::method_name(method);
        self.metrics.observe(operation.name, method, status.as_u16(), &table, elapsed);
    }

    /// The path alone is logged: the query may hold a token. Failures are logged one by one as long as they are few.
    fn log(&self, id: &str, method: &Method, uri: &Uri, response: &Response, elapsed: Duration) {
        let status = response.status().as_u16();
        let elapsed_us = elapsed.as_micros() as u64;
        if status >= 500 && self.is_worth_a_line(status) {
            warn!(id, %method, path = uri.path(), status, elapsed_us, "failed");
        } else {
            debug!(id, %method, path = uri.path(), status, elapsed_us, "answered");
        }
    }

    fn is_worth_a_line(&self, status: u16) -> bool {
        if status != 503 {
            return true;
        }
        let total = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        total <= 10 || total.is_power_of_two()
    }
}

fn fault(panic: &(dyn Any + Send)) -> Response {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("of no text"), "a handler failed");
    ApiError::internal("a fault of the server ended this request; its log says more").into_response()
}

/// The table that a path names, if any.
fn table_of(path: &str) -> Option<Cow<'_, str>> {
    let name = path.strip_prefix("/api/v1/tables/")?.split('/').next()?;
    percent_decode_str(name).decode_utf8().ok()
}

// Its node has a database, which is modelled only where the models are.
#[cfg(all(test, not(feature = "loom")))]
mod tests;
