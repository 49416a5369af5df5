//! A node's address: `http://host:port`, with or without a path in front of the interface's own.

use std::net::SocketAddr;
use std::str::FromStr;

use experiments::error::{Error, Result};

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// As it is shown: without a slash at its end.
    pub(crate) url: String,
    /// `host:port`, for the `Host` header and for connecting.
    pub(crate) authority: String,
    /// What stands before `/api/v1`; mostly empty.
    pub(crate) base: String,
}

impl Target {
    /// Looks the name up.
    ///
    /// # Errors
    ///
    /// Where the name is unknown.
    pub(crate) async fn resolve(&self) -> Result<Vec<SocketAddr>> {
        let failed = |cause| Error::failed(format!("cannot look up {}", self.url), cause);
        Ok(tokio::net::lookup_host(&self.authority).await.map_err(failed)?.collect())
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let bad = |why: &str| format!("`{text}` is not a node's address: {why}; write http://127.0.0.1:8080");
        let text_trimmed = text.trim().trim_end_matches('/');
        let rest = match text_trimmed.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => return Err(bad("TLS is not supported here, only http://")),
            Some(_) => return Err(bad("only http:// is supported")),
            None => return Err(bad("it does not begin with http://")),
        };
        if rest.contains(|c: char| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '@')) {
            return Err(bad("blanks, ?, # and @ cannot stand in it"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // The last colon belongs to a port unless it stands within the brackets of an IPv6 address.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (authority, "80"),
        };
        if host.is_empty() || host.starts_with('[') != host.ends_with(']') {
            return Err(bad("it has no host"));
        }
        if host.contains(':') && !host.starts_with('[') {
            return Err(bad("an IPv6 address stands in brackets"));
        }
        if !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(bad("its port is not a number from 1 to 65535"));
        }
        Ok(Target {
            url: text_trimmed.to_string(),
            authority: format!("{host}:{port}"),
            base: if path.is_empty() { String::new() } else { format!("/{path}") },
        })
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::Target;

    fn target(text: &str) -> Target {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_have_a_host_a_port_and_perhaps_a_path() {
        assert_eq!(target("http://127.0.0.1:8081").authority, "127.0.0.1:8081");
        assert_eq!(target(" http://localhost/ ").authority, "localhost:80");
        assert_eq!(target("http://[::1]:9000/").authority, "[::1]:9000");
        assert_eq!(target("http://[::1]").authority, "[::1]:80");
        assert_eq!(target("http://proxy:81/node/1/").base, "/node/1");
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        let refusal = |text: &str| text.parse::<Target>().unwrap_err();
        assert!(refusal("https://localhost:8080").contains("TLS"));
        assert!(refusal("localhost:8080").contains("does not begin"));
        assert!(refusal("ftp://x").contains("only http://"));
        assert!(refusal("http://:8080").contains("no host"));
        assert!(refusal("http://x:0").contains("port"));
        assert!(refusal("http://x:99999").contains("port"));
        assert!(refusal("http://::1:80").contains("brackets"));
        assert!(refusal("http://a b").contains("blanks"));
        assert!(refusal("http://a\r\nx: y").contains("blanks"));
    }
}
