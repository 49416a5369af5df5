//! Clients of all kinds over real sockets: what each of them costs, and whom.
#![cfg(not(feature = "loom"))]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures_util::stream;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use server::config::Config;
use server::guard::Gauges;
use server::serve::{Drained, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const GET: &[u8] = b"GET /ok HTTP/1.1\r\nhost: a\r\n\r\n";
const GET_AND_CLOSE: &[u8] = b"GET /ok HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(20);

/// A server of three routes: one that answers, one that takes half a second, one that never ends.
struct Running {
    address: SocketAddr,
    gauges: Arc<Gauges>,
    stopping: CancellationToken,
    served: JoinHandle<Drained>,
}

fn quick(change: impl FnOnce(&mut Config)) -> Config {
    let ms = Duration::from_millis;
    let mut config = Config {
        bind: "127.0.0.1:0".to_string(),
        header_timeout: ms(300),
        idle_timeout: ms(900),
        write_stall_timeout: ms(500),
        shutdown_timeout: Duration::from_secs(5),
        ..Config::default()
    };
    change(&mut config);
    config
}

fn start(config: &Config) -> Running {
    let endless = || async {
        let piece = Bytes::from(vec![b'x'; 64 << 10]);
        Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone())))
    };
    let slow = || async {
        sleep(Duration::from_millis(500)).await;
        "slow but done"
    };
    let router = Router::new()
        .route("/ok", get(|| async { "fine" }))
        .route("/slow", get(slow))
        .route("/endless", get(endless));
    let server = Server::bind(config).unwrap();
    let address = server.local_addr();
    let gauges = Arc::new(Gauges::default());
    let stopping = CancellationToken::new();
    let served = tokio::spawn(server.run(router, gauges.clone(), stopping.clone()));
    Running { address, gauges, stopping, served }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes, and reads until the server closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_to_end(&mut stream).await
    }

    async fn is_well(&self) {
        let answer = self.exchange(GET_AND_CLOSE).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("fine"), "{answer}");
    }
}

/// What comes until the end; a reset is an end as well.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    let reading = async {
        while let Ok(bytes @ 1..) = stream.read(&mut piece).await {
            read.extend_from_slice(&piece[..bytes]);
        }
    };
    timeout(PATIENCE, reading).await.expect("the server does not close");
    String::from_utf8_lossy(&read).into_owned()
}

/// Reads one answer of a known end.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    while !read.ends_with(end.as_bytes()) {
        let bytes = timeout(PATIENCE, stream.read(&mut piece)).await.unwrap().unwrap();
        assert!(bytes > 0, "closed after {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&piece[..bytes]);
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn who_trickles_headers_is_closed_and_nobody_else() {
    let server = start(&quick(|_| ()));
    let began = Instant::now();
    let mut slowloris = server.connect().await;
    let trickle = async {
        for byte in GET.iter().cycle() {
            if slowloris.write_all(&[*byte & 0x7f | 0x20]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, trickle).await.expect("the trickle is never ended");
    assert!(began.elapsed() >= Duration::from_millis(300));
    server.is_well().await;
}

#[tokio::test]
async fn who_says_nothing_is_closed() {
    let server = start(&quick(|_| ()));
    let mut silent = server.connect().await;
    assert_eq!(read_to_end(&mut silent).await, "");
}

#[tokio::test]
async fn an_idle_connection_is_kept_longer_than_headers_may_take() {
    let server = start(&quick(|_| ()));
    let mut stream = server.connect().await;
    for _ in 0..2 {
        stream.write_all(GET).await.unwrap();
        assert!(read_until(&mut stream, "fine").await.starts_with("HTTP/1.1 200"));
        sleep(Duration::from_millis(550)).await;
    }
    let began = Instant::now();
    assert_eq!(read_to_end(&mut stream).await, "");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn headers_that_are_too_large_are_431() {
    let server = start(&quick(|config| config.max_header_bytes = 8 << 10));
    let large = format!("GET /ok HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(20 << 10));
    assert!(server.exchange(large.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET /ok HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(500));
    assert!(server.exchange(many.as_bytes()).await.starts_with("HTTP/1.1 431"));
    server.is_well().await;
}

#[tokio::test]
async fn nonsense_costs_its_connection_only() {
    let server = start(&quick(|_| ()));
    let client_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let nonsense: [&[u8]; 6] = [
        client_hello,
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame at all",
        b"PUT /ok HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"PUT /ok HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ];
    for bytes in nonsense {
        let answer = server.exchange(bytes).await;
        assert!(!answer.contains(" 200 ") && !answer.contains(" 50"), "{bytes:?}: {answer}");
    }
    server.is_well().await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let server = start(&quick(|config| config.max_connections = 1));
    let mut first = server.connect().await;
    first.write_all(GET).await.unwrap();
    read_until(&mut first, "fine").await;
    let answer = server.exchange(GET).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
    assert!(answer.contains("{\"error\":"), "{answer}");
    assert_eq!((server.gauges.connections.load(Relaxed), server.gauges.shed.load(Relaxed)), (1, 1));
    drop(first);
    while server.gauges.connections.load(Relaxed) > 0 {
        sleep(Duration::from_millis(5)).await;
    }
    server.is_well().await;
}

#[tokio::test]
async fn who_does_not_read_its_answer_is_closed() {
    let server = start(&quick(|_| ()));
    let mut stream = server.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let closed = async {
        while server.gauges.connections.load(Relaxed) > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    sleep(Duration::from_millis(100)).await;
    timeout(PATIENCE, closed).await.expect("the stalled connection is kept");
}

#[tokio::test]
async fn who_reads_slowly_is_served() {
    let server = start(&quick(|_| ()));
    let mut stream = server.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let began = Instant::now();
    let mut piece = vec![0; 1 << 20];
    while began.elapsed() < Duration::from_millis(1500) {
        assert!(stream.read(&mut piece).await.unwrap() > 0);
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_has_said_all_still_gets_its_answer() {
    let server = start(&quick(|_| ()));
    let mut stream = server.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.ends_with("slow but done"), "{answer}");
}

async fn http2(server: &Running) -> hyper::client::conn::http2::SendRequest<Empty<Bytes>> {
    let stream = TokioIo::new(server.connect().await);
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn http2_get(server: &Running, path: &str) -> hyper::Request<Empty<Bytes>> {
    hyper::Request::get(format!("http://{}{path}", server.address)).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn http2_is_spoken_and_its_stalled_streams_are_ended() {
    let server = start(&quick(|_| ()));
    let mut client = http2(&server).await;
    let answer = client.send_request(http2_get(&server, "/ok")).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "fine");
    // The client's connection runs, but nobody takes the body: its window closes.
    let unread = client.send_request(http2_get(&server, "/endless")).await.unwrap();
    let closed = async {
        while server.gauges.connections.load(Relaxed) > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, closed).await.expect("the stalled connection is kept");
    drop(unread);
}

#[tokio::test]
async fn stopping_finishes_requests_in_flight_and_closes_the_idle() {
    let server = start(&quick(|_| ()));
    let mut idle = server.connect().await;
    idle.write_all(GET).await.unwrap();
    read_until(&mut idle, "fine").await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut client = http2(&server).await;
    let request = http2_get(&server, "/slow");
    let stream = tokio::spawn(async move {
        let answer = client.send_request(request).await.unwrap();
        answer.into_body().collect().await.unwrap().to_bytes()
    });
    sleep(Duration::from_millis(200)).await;
    server.stopping.cancel();
    assert_eq!(read_to_end(&mut idle).await, "");
    assert!(read_to_end(&mut busy).await.ends_with("slow but done"));
    assert_eq!(stream.await.unwrap(), "slow but done");
    assert_eq!(timeout(PATIENCE, server.served).await.unwrap().unwrap(), Drained { cut: 0 });
    TcpStream::connect(server.address).await.unwrap_err();
}

#[tokio::test]
async fn stopping_cuts_what_does_not_end() {
    let server = start(&quick(|config| {
        config.shutdown_timeout = Duration::from_millis(200);
        config.write_stall_timeout = PATIENCE;
    }));
    let mut endless = server.connect().await;
    endless.write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    endless.readable().await.unwrap();
    server.stopping.cancel();
    assert_eq!(timeout(PATIENCE, server.served).await.unwrap().unwrap(), Drained { cut: 1 });
}

mod tls {
    use std::fs;

    use rustls_pki_types::ServerName;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::*;

    struct Secured {
        server: Running,
        connector: TlsConnector,
        _folder: tempfile::TempDir,
    }

    fn start_tls() -> Secured {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        fs::write(&cert, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let server = start(&quick(|config| {
            config.tls_cert = Some(cert);
            config.tls_key = Some(key);
        }));
        Secured { server, connector: TlsConnector::from(Arc::new(client)), _folder: folder }
    }

    impl Secured {
        async fn is_well(&self) {
            let name = ServerName::try_from("localhost").unwrap();
            let stream = self.connector.connect(name, self.server.connect().await).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                    .await
                    .unwrap();
            tokio::spawn(connection);
            let request = hyper::Request::get("https://localhost/ok").body(Empty::<Bytes>::new()).unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "fine");
        }
    }

    #[tokio::test]
    async fn https_is_served_and_http_is_not() {
        let secured = start_tls();
        secured.is_well().await;
        assert!(!secured.server.exchange(GET).await.contains("fine"));
        secured.is_well().await;
    }

    #[tokio::test]
    async fn a_handshake_that_does_not_come_is_closed() {
        let secured = start_tls();
        let mut silent = secured.server.connect().await;
        assert_eq!(read_to_end(&mut silent).await, "");
        secured.is_well().await;
    }

    #[tokio::test]
    async fn a_certificate_that_is_none_is_told_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        fs::write(&empty, "nothing").unwrap();
        for cert in [empty, folder.path().join("missing.pem")] {
            let name = cert.file_name().unwrap().to_str().unwrap().to_string();
            let config = quick(|config| {
                config.tls_key = Some(cert.clone());
                config.tls_cert = Some(cert);
            });
            let error = Server::bind(&config).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("tls_cert") && error.contains(&name), "{error}");
        }
    }
}
