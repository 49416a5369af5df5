//! The listener: it accepts connections, and bounds what each of them may cost.
//!
//! | what a client does | what it costs |
//! |---|---|
//! | opens one connection too many | an answer of a few bytes, and the connection (`refusal.rs`) |
//! | sends headers slowly, or nothing | its connection, after `header_timeout` or `idle_timeout` (`progress.rs`) |
//! | sends headers that are too large, or nonsense | 431 or 400, and its connection (hyper) |
//! | takes no bytes of its answer | its connection, after `write_stall_timeout` (`progress.rs`) |
//! | closes its sending side | nothing: it gets its answers |
//!
//! Answers to what is no HTTP request are a status alone; everything else is answered by the routes, in JSON.

mod connection;
mod progress;
mod refusal;
mod signals;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::config::{Config, ConfigError};
use crate::guard::{Gauges, OpenConnection};
use connection::Connections;

pub use signals::stop_on_signals;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;
/// Refused connections that are answered at one time; more are only closed.
const MAX_REFUSALS: usize = 64;
/// How long accepting pauses where the system has no more file descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// A listener that does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    config: Config,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Drained {
    /// Connections that were cut, because they were not done within `shutdown_timeout`.
    pub cut: usize,
}

impl Server {
    /// Takes the address that the settings name, and reads certificate and key.
    ///
    /// # Errors
    /// The address is taken or not this machine's; certificate and key cannot be used.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn bind(config: &Config) -> Result<Self, ConfigError> {
        let tls = tls::acceptor(config)?;
        let mut refused = None;
        for address in config.addresses()? {
            match listen(address) {
                Ok(listener) => {
                    let address = listener.local_addr().unwrap_or(address);
                    return Ok(Self { listener, address, tls, config: config.clone() });
                }
                Err(cause) => refused = Some((address, cause)),
            }
        }
        let (address, reason) = match refused {
            Some((address, cause)) if cause.kind() == io::ErrorKind::AddrInUse => (
                address.to_string(),
                "another process listens there; stop it, or choose another port".to_string(),
            ),
            Some((address, cause)) => (address.to_string(), cause.to_string()),
            None => (config.bind.clone(), "it has no address".to_string()),
        };
        Err(ConfigError(format!("bind: cannot listen on {address}: {reason}")))
    }

    /// Where it listens: with the port that was taken, if any was to be.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The address for a browser.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let host = match self.address.ip() {
            ip if ip.is_unspecified() => "localhost".to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
            ip => ip.to_string(),
        };
        format!("{scheme}://{host}:{}", self.address.port())
    }

    /// Serves until `stopping` is cancelled; then accepts no more, lets requests in flight finish, and closes what is
    /// idle.
    pub async fn run(self, router: Router, gauges: Arc<Gauges>, stopping: CancellationToken) -> Drained {
        let cut = CancellationToken::new();
        let door = Door {
            connections: Connections::new(&self.config, router, stopping.clone()),
            tls: self.tls,
            handshake: self.config.header_timeout,
            places: Arc::new(Semaphore::new(self.config.max_connections)),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            gauges,
            open: TaskTracker::new(),
            cut: cut.clone(),
        };
        door.accept_until(&self.listener, &stopping).await;
        drop(self.listener);
        door.open.close();
        if timeout(self.config.shutdown_timeout, door.open.wait()).await.is_ok() {
            return Drained { cut: 0 };
        }
        let drained = Drained { cut: door.open.len() };
        cut.cancel();
        door.open.wait().await;
        drained
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for the connections of the last run to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Where connections come in.
struct Door {
    connections: Connections,
    tls: Option<TlsAcceptor>,
    handshake: Duration,
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    gauges: Arc<Gauges>,
    open: TaskTracker,
    cut: CancellationToken,
}

impl Door {
    async fn accept_until(&self, listener: &TcpListener, stopping: &CancellationToken) {
        let mut is_exhausted = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    is_exhausted = false;
                    self.let_in(stream);
                }
                Err(error) if is_the_clients(&error) => {
                    debug!(%error, "a connection was gone before it was accepted")
                }
                Err(error) => {
                    if !is_exhausted {
                        warn!(%error, "cannot accept connections; trying again (is `ulimit -n` too low?)");
                    }
                    is_exhausted = true;
                    // The connection stays in the queue: without a pause this would spin.
                    let _ = timeout(EXHAUSTED_PAUSE, stopping.cancelled()).await;
                }
            }
        }
    }

    fn let_in(&self, stream: TcpStream) {
        let Ok(place) = self.places.clone().try_acquire_owned() else { return self.refuse(stream) };
        // Answers are written whole: waiting for more to send along would only delay them.
        let _ = stream.set_nodelay(true);
        let counted = self.gauges.connection();
        let (connections, tls, handshake) = (self.connections.clone(), self.tls.clone(), self.handshake);
        let cut = self.cut.clone();
        self.open.spawn(async move {
            let _held: (_, OpenConnection) = (place, counted);
            let served = async {
                let Some(tls) = tls else { return connections.serve(stream).await };
                match timeout(handshake, tls.accept(stream)).await {
                    Ok(Ok(stream)) => connections.serve(stream).await,
                    Ok(Err(error)) => debug!(%error, "a TLS handshake failed"),
                    Err(_) => debug!("a TLS handshake took too long"),
                }
            };
            cut.run_until_cancelled(served).await;
        });
    }

    fn refuse(&self, stream: TcpStream) {
        if let Some(total) = self.gauges.count_shed() {
            warn!(
                total,
                "too many connections are open: refusing some (logged at every doubling of the total)"
            );
        }
        if self.tls.is_some() {
            return; // A few bytes in plain text would mean nothing to it.
        }
        if let Ok(place) = self.refusals.clone().try_acquire_owned() {
            self.open.spawn(async move {
                let _held = place;
                refusal::refuse(stream).await;
            });
        }
    }
}

/// Whether the error is about the connection that was to be accepted, not about this process.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
