//! TLS: certificate and key from PEM files.

use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use crate::config::{Config, ConfigError};

/// What accepts TLS connections, if the settings ask for it.
pub(super) fn acceptor(config: &Config) -> Result<Option<TlsAcceptor>, ConfigError> {
    let (Some(cert), Some(key)) = (&config.tls_cert, &config.tls_key) else { return Ok(None) };
    let chain = certificates(cert)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|cause| unreadable("tls_key", key, &cause))?;
    let provider = Arc::new(ring::default_provider());
    let refused = |cause: tokio_rustls::rustls::Error| {
        let (cert, key) = (cert.display(), key.display());
        ConfigError(format!("tls_cert {cert} and tls_key {key} cannot be served with: {cause}"))
    };
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(refused)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(tls))))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let chain = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match chain {
        Ok(chain) if chain.is_empty() => {
            Err(ConfigError(format!("tls_cert: {} holds no certificate in PEM", path.display())))
        }
        Ok(chain) => Ok(chain),
        Err(cause) => Err(unreadable("tls_cert", path, &cause)),
    }
}

fn unreadable(setting: &str, path: &Path, cause: &dyn std::fmt::Display) -> ConfigError {
    ConfigError(format!("{setting}: cannot read {} as PEM: {cause}", path.display()))
}
