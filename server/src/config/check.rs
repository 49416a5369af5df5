//! What must hold between settings, checked before anything is opened.

use std::net::{SocketAddr, ToSocketAddrs};

use super::{Config, ConfigError};

/// Where `bind` listens.
///
/// # Errors
/// It is no host with a port, or the host has no address.
pub(super) fn addresses(bind: &str) -> Result<Vec<SocketAddr>, ConfigError> {
    let hint = "write 127.0.0.1:8080, localhost:8080, [::1]:8080, or 0.0.0.0:8080 for all addresses";
    if bind.starts_with(':') || !bind.contains(':') {
        return Err(ConfigError(format!("bind: {bind:?} is not a host with a port; {hint}")));
    }
    let found = bind.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(ConfigError(format!("bind: {bind:?} has no address; {hint}"))),
        Err(cause) => Err(ConfigError(format!("bind: {bind:?} cannot be listened on: {cause}; {hint}"))),
    }
}

impl Config {
    /// The addresses to listen on, of which the first that works is taken.
    ///
    /// # Errors
    /// The host has none.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>, ConfigError> {
        addresses(&self.bind)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.check_limits()?;
        self.check_access()?;
        if self.otlp_endpoint.as_ref().is_some_and(|endpoint| endpoint.contains('@')) {
            let message =
                "otlp_endpoint: it must not carry a name or a password, as it is printed and logged";
            return Err(ConfigError(message.to_string()));
        }
        if self.otlp_endpoint.is_some() && !cfg!(feature = "otlp") {
            let hint = "build it with `cargo build --release -p server --features otlp`";
            return Err(ConfigError(format!("otlp_endpoint: this build cannot send traces; {hint}")));
        }
        if !self.cors_origin.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message =
                format!("cors_origin: {:?} is neither * nor like https://host:port", self.cors_origin);
            return Err(ConfigError(message));
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<(), ConfigError> {
        let refuse = |message: &str| Err(ConfigError(message.to_string()));
        if !((8 << 10)..=(1 << 20)).contains(&self.max_header_bytes) {
            return refuse("max_header_bytes: it must be 8KiB to 1MiB");
        }
        if self.max_url == 0 || self.max_url > self.max_header_bytes {
            return refuse("max_url: it must be at least 1 and at most max_header_bytes");
        }
        if self.max_batch_body.max(self.max_body) > self.max_body_memory {
            return refuse("max_body_memory: it must be at least max_body and max_batch_body");
        }
        if self.log_max < 4 * (64 << 10) {
            return refuse("log_max: it must be at least 256KiB");
        }
        if self.disk_threads > 4096 {
            return refuse("disk_threads: it must be 1 to 4096");
        }
        if self.max_connections > 1 << 20 {
            return refuse("max_connections: it must be 1 to 1048576");
        }
        Ok(())
    }

    fn check_access(&self) -> Result<(), ConfigError> {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(_), Some(_)) => true,
            (None, None) => false,
            (Some(_), None) => return Err(ConfigError("tls_cert is given without tls_key".to_string())),
            (None, Some(_)) => return Err(ConfigError("tls_key is given without tls_cert".to_string())),
        };
        let public = self.addresses()?.into_iter().find(|address| !address.ip().is_loopback());
        let missing = match (self.access.is_open(), tls) {
            (false, true) => return Ok(()),
            (true, true) => "tokens (--tokens FILE)",
            (false, false) => "TLS (--tls-cert FILE --tls-key FILE)",
            (true, false) => "tokens (--tokens FILE) and TLS (--tls-cert FILE --tls-key FILE)",
        };
        match public {
            Some(address) if !self.allow_public_without_protection => Err(ConfigError(format!(
                "bind: others can reach {address}, so this needs {missing}; or listen on 127.0.0.1; or say \
                 --allow-public-without-protection"
            ))),
            _ => Ok(()),
        }
    }
}
