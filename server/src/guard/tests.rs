use std::future::pending;

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::routing::{get, post, put};
use futures_util::stream;
use http_body_util::BodyExt;
use tokio::sync::Notify;
use tower::ServiceExt;
use tree::{Database, Options};

use super::*;
use crate::metrics::NodeFacts;

/// A guarded router of a few odd handlers.
struct Node {
    router: Router,
    gauges: Arc<Gauges>,
    metrics: Arc<Metrics>,
    finish: Arc<Notify>,
    _folder: tempfile::TempDir,
}

const ITEM: &str = "/api/v1/tables/{table}/items/{key}";

fn node(config: &Config) -> Node {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { pool_bytes: 1 << 20, ..Options::default() };
    let database = Arc::new(Database::open(folder.path(), options).unwrap());
    let gauges = Arc::new(Gauges::default());
    let facts = NodeFacts {
        node_id: "node-1".to_string(),
        preset: "option4".to_string(),
        engine: "coupled".to_string(),
        commit: "greedy".to_string(),
        partitions: 8,
    };
    let metrics = Arc::new(Metrics::new(database, gauges.clone(), facts));
    let finish = Arc::new(Notify::new());
    let held = finish.clone();
    let router = Router::new()
        .route(ITEM, put(|body: Bytes| async move { body.len().to_string() }).get(pending::<()>))
        .route("/livez", get(|| async { "ok" }))
        .route("/large", get(|| async { "x".repeat(100 << 10) }))
        .route("/api/v1/stats", get(|| async move { held.notified().await }))
        .route("/api/v1/check", get(|| async { tokio::time::sleep(Duration::from_millis(300)).await }))
        .route("/api/v1/restore", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/panic", get(async || -> &'static str { panic!("on purpose") }));
    let guard = Guard::new(config, gauges.clone(), metrics.clone(), Box::new(|name| name == "users"));
    let router = guard.protect(router, &config.cors_origin);
    Node { router, gauges, metrics, finish, _folder: folder }
}

fn request(method: Method, uri: &str, body: Body) -> Request {
    Request::builder().method(method).uri(uri).body(body).unwrap()
}

impl Node {
    async fn ask(&self, request: Request) -> (u16, String) {
        let (status, _, text) = self.ask_fully(request).await;
        (status, text)
    }

    async fn ask_fully(&self, request: Request) -> (u16, axum::http::HeaderMap, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, uri: &str) -> (u16, String) {
        self.ask(request(Method::GET, uri, Body::empty())).await
    }

    fn in_flight(&self) -> u64 {
        self.gauges.in_flight.load(Ordering::Relaxed)
    }

    /// Sends a request that is answered when `finish` says so.
    async fn hold(&self) -> tokio::task::JoinHandle<u16> {
        let before = self.in_flight();
        let router = self.router.clone();
        let asked = tokio::spawn(async move {
            let request = request(Method::GET, "/api/v1/stats", Body::empty());
            router.oneshot(request).await.unwrap().status().as_u16()
        });
        while self.in_flight() == before {
            tokio::task::yield_now().await;
        }
        asked
    }
}

fn short(request_timeout: Duration) -> Config {
    Config { request_timeout, ..Config::default() }
}

#[tokio::test]
async fn past_the_limit_requests_are_refused_at_once_and_probes_are_not() {
    let node = node(&Config { max_in_flight: 2, ..Config::default() });
    let held = [node.hold().await, node.hold().await];
    let (status, headers, text) = node.ask_fully(request(Method::GET, "/api/v1/stats", Body::empty())).await;
    assert_eq!((status, &headers["retry-after"]), (503, &HeaderValue::from_static("1")));
    assert!(text.contains("in flight"), "{text}");
    assert_eq!(node.get("/livez").await.0, 200);
    assert_eq!(node.gauges.shed.load(Ordering::Relaxed), 1);
    node.finish.notify_waiters();
    for answer in held {
        assert_eq!(answer.await.unwrap(), 200);
    }
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test]
async fn a_client_that_goes_away_gives_its_place_back() {
    let node = node(&Config::default());
    let asked = node.hold().await;
    asked.abort();
    let _ = asked.await;
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test]
async fn a_request_keeps_its_name_or_gets_one() {
    let node = node(&Config::default());
    let mut named = request(Method::GET, "/livez", Body::empty());
    named.headers_mut().insert(X_REQUEST_ID, HeaderValue::from_static("abc-7"));
    assert_eq!(node.ask_fully(named).await.1[X_REQUEST_ID], "abc-7");
    let (status, headers, _) = node.ask_fully(request(Method::GET, "/nowhere", Body::empty())).await;
    assert!(status == 404 && !headers[X_REQUEST_ID].is_empty());
}

#[tokio::test]
async fn a_long_url_is_refused() {
    let node = node(&Config { max_url: 20, ..Config::default() });
    assert_eq!(node.get(&format!("/livez?{}", "x".repeat(13))).await.0, 200);
    let (status, text) = node.get(&format!("/livez?{}", "x".repeat(14))).await;
    assert!(status == 414 && text.contains("\"error\""), "{text}");
}

#[tokio::test]
async fn a_panic_costs_its_request_only() {
    let node = node(&Config::default());
    let (status, text) = node.get("/panic").await;
    assert!(status == 500 && text.contains("\"error\"") && !text.contains("purpose"), "{text}");
    assert_eq!(node.in_flight(), 0);
    assert_eq!(node.get("/livez").await.0, 200);
}

#[tokio::test]
async fn a_late_body_is_408_and_a_late_answer_503() {
    let node = node(&short(Duration::from_millis(50)));
    let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let (status, text) = node.ask(request(Method::PUT, "/api/v1/tables/t/items/k", never)).await;
    assert!(status == 408 && text.contains("50ms"), "{text}");
    let (status, text) = node.get("/api/v1/tables/t/items/k").await;
    assert!(status == 503 && !text.contains("unknown"), "{text}");
}

#[tokio::test]
async fn a_late_write_is_told_that_its_outcome_is_unknown() {
    let config = short(Duration::from_millis(50));
    let gauges = Arc::new(Gauges::default());
    let metrics = node(&config).metrics;
    let guard = Guard::new(&config, gauges, metrics, Box::new(|_| false));
    let router = guard.protect(Router::new().route(ITEM, put(pending::<()>)), "*");
    let put = request(Method::PUT, "/api/v1/tables/t/items/k", Body::from("{}"));
    let response = router.oneshot(put).await.unwrap();
    assert_eq!(response.status(), 503);
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(str::from_utf8(&text).unwrap().contains("unknown whether this write"));
}

#[tokio::test]
async fn what_concerns_the_whole_database_may_take_longer_but_not_stall() {
    let node = node(&short(Duration::from_millis(100)));
    assert_eq!(node.get("/api/v1/check").await.0, 200);
    let pieces = stream::iter(0..8).then(async |_| {
        tokio::time::sleep(Duration::from_millis(30)).await;
        Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
    });
    use futures_util::StreamExt;
    let slow = request(Method::POST, "/api/v1/restore", Body::from_stream(pieces));
    assert_eq!(node.ask(slow).await, (200, "8".to_string()));
    let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    assert_eq!(node.ask(request(Method::POST, "/api/v1/restore", never)).await.0, 408);
}

#[tokio::test]
async fn a_trickling_body_holds_no_place() {
    let node = node(&Config { max_in_flight: 1, ..short(Duration::from_millis(500)) });
    let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let trickling = node.ask(request(Method::PUT, "/api/v1/tables/t/items/k", never));
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        node.ask(request(Method::PUT, "/api/v1/tables/t/items/k", Body::from("12345"))).await
    };
    let (late, answered) = tokio::join!(trickling, meanwhile);
    assert_eq!((late.0, answered), (408, (200, "5".to_string())));
    assert_eq!(node.in_flight(), 0);
}

#[tokio::test]
async fn all_bodies_together_have_a_limit() {
    let node = node(&Config { max_body_memory: 10, ..Config::default() });
    let send = |bytes: usize| request(Method::PUT, "/api/v1/tables/t/items/k", Body::from(vec![b'x'; bytes]));
    assert_eq!(node.ask(send(10)).await, (200, "10".to_string()));
    assert_eq!(node.ask(send(11)).await.0, 503);
    assert_eq!(node.ask(send(10)).await.0, 200, "the bytes of earlier requests are free again");
    assert_eq!(node.gauges.body_bytes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn only_tables_that_exist_become_labels() {
    let node = node(&Config::default());
    for table in ["users", "u%73ers", "invented"] {
        let mut request = request(Method::PUT, &format!("/api/v1/tables/{table}/items/k"), Body::empty());
        request.headers_mut().insert("content-length", HeaderValue::from_static("0"));
        *request.method_mut() = Method::PATCH;
        assert_eq!(node.ask(request).await.0, 405);
    }
    let rendered = node.metrics.render();
    assert!(rendered.contains("table=\"users\"") && !rendered.contains("invented"), "{rendered}");
}

#[tokio::test]
async fn pages_of_other_origins_may_read_answers_and_their_names() {
    let node = node(&Config::default());
    let mut preflight = request(Method::OPTIONS, "/api/v1/tables/t/items/k", Body::empty());
    for (name, value) in [
        ("origin", "http://localhost:3000"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "if-match"),
    ] {
        preflight.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let (status, headers, _) = node.ask_fully(preflight).await;
    assert_eq!((status, &headers["access-control-allow-origin"]), (200, &HeaderValue::from_static("*")));
    assert!(headers["access-control-allow-methods"].to_str().unwrap().contains("PUT"));
    let mut plain = request(Method::GET, "/livez", Body::empty());
    plain.headers_mut().insert("origin", HeaderValue::from_static("http://localhost:3000"));
    let (_, headers, _) = node.ask_fully(plain).await;
    assert!(headers["access-control-expose-headers"].to_str().unwrap().contains("x-request-id"));
}

#[tokio::test]
async fn answers_that_nobody_takes_are_bounded_together() {
    let node = node(&Config { max_body_memory: 150 << 10, ..Config::default() });
    let large = || node.router.clone().oneshot(request(Method::GET, "/large", Body::empty()));
    let untaken = large().await.unwrap();
    assert_eq!(untaken.status(), 200);
    assert_eq!(node.gauges.answer_bytes.load(Ordering::Relaxed), 100 << 10);
    let (status, message) = node.get("/large").await;
    assert_eq!(status, 503, "{message}");
    assert_eq!(node.get("/livez").await.0, 200, "small answers do not count");
    drop(untaken);
    assert_eq!(node.get("/large").await.0, 200);
    assert_eq!(node.gauges.answer_bytes.load(Ordering::Relaxed), 0);
}
