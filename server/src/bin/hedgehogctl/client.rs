//! The HTTP client: a request becomes an answer, or an error that says what, where and what to do.

use std::io::Read;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::http::{self, HeaderMap};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body, SendBody};

use crate::error::{Code, Error, Result};
use crate::escape::printable;
use crate::request::{Payload, Request};
use crate::settings::Settings;

const CONNECT: Duration = Duration::from_secs(5);
/// A JSON answer that is larger than this is none that a node gives: pages and backups are streamed.
const MAX_ANSWER: u64 = 256 << 20;
/// How much of an error's body is looked at.
const MAX_ERROR: u64 = 64 << 10;
/// How often a busy node is asked again by [`Client::send_until_admitted`].
const ATTEMPTS: u32 = 6;
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A connection to a node, kept open between requests.
pub(crate) struct Client {
    agent: Agent,
    settings: Settings,
}

/// A successful answer.
pub(crate) struct Answer {
    /// `GET http://...`, for errors about the body.
    call: String,
    response: http::Response<Body>,
}

impl Client {
    /// A client. Nothing is connected yet.
    pub(crate) fn new(settings: Settings) -> Client {
        let tls = TlsConfig::builder().root_certs(settings.roots.clone()).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A token must not be carried to wherever an answer points.
            .max_redirects(0)
            // A database is not behind the proxy that the environment names for web pages.
            .proxy(None)
            .timeout_connect(Some(CONNECT.min(settings.patience)))
            .timeout_per_read(Some(settings.patience))
            .timeout_per_write(Some(settings.patience))
            .user_agent(concat!("hedgehogctl/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls);
        Client { agent: Agent::new_with_config(config.build()), settings }
    }

    /// Another client of the same node, with connections of its own.
    pub(crate) fn fresh(&self) -> Client {
        Client::new(self.settings.clone())
    }

    /// The node's base URL.
    pub(crate) fn base(&self) -> &str {
        &self.settings.base
    }

    /// Sends a request and returns a successful answer, its body still to be read.
    ///
    /// # Errors
    /// The node cannot be reached, or answers anything but 2xx: see [`Code::of_status`].
    pub(crate) fn send(&self, request: Request) -> Result<Answer> {
        let call = format!("{} {}{}", request.method, self.settings.base, request.target);
        let response = self.exchange(request).map_err(|cause| self.transport_error(&call, &cause))?;
        if response.status().is_success() {
            return Ok(Answer { call, response });
        }
        Err(refused(&call, response))
    }

    /// As [`Client::send`], but asks again while the node is busy, for some seconds: for requests that may be
    /// repeated, made anew by `request` each time.
    ///
    /// # Errors
    /// As for [`Client::send`].
    pub(crate) fn send_until_admitted(&self, request: impl Fn() -> Request) -> Result<Answer> {
        let mut pause = Duration::from_millis(200);
        for _ in 1..ATTEMPTS {
            match self.send(request()) {
                Err(error) if error.code() == Some(Code::Busy) => std::thread::sleep(pause),
                outcome => return outcome,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.send(request())
    }

    fn exchange(&self, request: Request) -> Result<http::Response<Body>, ureq::Error> {
        let mut builder = http::Request::builder()
            .method(request.method)
            .uri(format!("{}{}", self.settings.base, request.target));
        if let Some(authorization) = &self.settings.authorization {
            builder = builder.header(http::header::AUTHORIZATION, authorization.clone());
        }
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        let body = match request.payload {
            Payload::None => SendBody::none(),
            Payload::Json(json) => {
                builder = builder.header(http::header::CONTENT_TYPE, "application/json");
                let length = json.len();
                builder = builder.header(http::header::CONTENT_LENGTH, length);
                SendBody::from_owned_reader(std::io::Cursor::new(json))
            }
            Payload::Tar(file) => {
                builder = builder.header(http::header::CONTENT_TYPE, "application/x-tar");
                if let Ok(metadata) = file.metadata() {
                    builder = builder.header(http::header::CONTENT_LENGTH, metadata.len());
                }
                // A node that refuses says so before gigabytes are on their way.
                builder = builder.header(http::header::EXPECT, "100-continue");
                SendBody::from_owned_reader(file)
            }
        };
        let message = builder.body(body)?;
        if !request.patient {
            return self.agent.run(message);
        }
        let message =
            self.agent.configure_request(message).timeout_per_read(None).timeout_per_write(None).build();
        self.agent.run(message)
    }

    fn transport_error(&self, call: &str, cause: &ureq::Error) -> Error {
        let base = &self.settings.base;
        let (code, message) = match cause {
            ureq::Error::Timeout(ureq::Timeout::Connect) => {
                (Code::Unreachable, format!("cannot reach {base}: no answer; is the address right?"))
            }
            ureq::Error::Timeout(_) => {
                let patience = self.settings.patience.as_secs_f64();
                let text = format!("{call}: no answer within {patience} s; wait longer with --timeout");
                (Code::Unreachable, text)
            }
            ureq::Error::HostNotFound => (
                Code::Unreachable,
                format!("cannot reach {base}: no such host; is --url or HEDGEHOG_URL right?"),
            ),
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
                let text =
                    format!("no secure connection to {base}: {cause}; name a private CA's file with --ca");
                (Code::Unreachable, text)
            }
            ureq::Error::Io(io) if is_tls(io) => {
                let text =
                    format!("no secure connection to {base}: {io}; name a private CA's file with --ca");
                (Code::Unreachable, text)
            }
            ureq::Error::Io(_) | ureq::Error::ConnectionFailed => {
                let text = format!(
                    "cannot reach {base}: {cause}; start a node there with `hedgehogdb`, or name another with \
                     --url or HEDGEHOG_URL"
                );
                (Code::Unreachable, text)
            }
            ureq::Error::Protocol(_) => {
                let text = format!(
                    "{call}: what answers does not speak HTTP as a node does ({cause}): is the URL right?"
                );
                (Code::Unreachable, text)
            }
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => {
                (Code::Usage, format!("{call} cannot be asked: {cause}"))
            }
            _ => (Code::Failed, format!("{call}: {cause}")),
        };
        Error::new(code, message)
    }
}

/// rustls reports a handshake that failed as an input/output error.
fn is_tls(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::InvalidData
}

/// The error that a refusing answer stands for.
fn refused(call: &str, response: http::Response<Body>) -> Error {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let status = response.status();
    let advice = advice(status.as_u16(), response.headers());
    let mut text = String::new();
    // A body that cannot be read leaves the status, which says enough.
    let _ = response.into_body().into_reader().take(MAX_ERROR).read_to_string(&mut text);
    let said = match serde_json::from_str(&text) {
        Ok(Refusal { error }) => printable(&error),
        Err(_) => status.canonical_reason().unwrap_or("no reason given").to_lowercase(),
    };
    Error::new(
        Code::of_status(status.as_u16()),
        format!("{said} ({call} answered {}){advice}", status.as_u16()),
    )
}

fn advice(status: u16, headers: &HeaderMap) -> String {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match status {
        300..=399 => match header(http::header::LOCATION) {
            Some(to) => format!("; the node has moved to {}: name that with --url", printable(to)),
            None => String::new(),
        },
        401 => "; give a token with --token-file or HEDGEHOG_TOKEN".to_string(),
        403 => "; use a token whose role allows it".to_string(),
        429 | 503 => match header(http::header::RETRY_AFTER) {
            Some(seconds) => format!("; try again in {} s", printable(seconds)),
            None => "; try again later".to_string(),
        },
        _ => String::new(),
    }
}

impl Answer {
    /// The item's ETag, as the node wrote it.
    pub(crate) fn etag(&self) -> Option<String> {
        let value = self.response.headers().get(http::header::ETAG)?;
        value.to_str().ok().map(str::to_string)
    }

    /// The body as text.
    ///
    /// # Errors
    /// The connection broke, or it is no text.
    pub(crate) fn text(mut self) -> Result<String> {
        let body = self.response.body_mut().with_config().limit(MAX_ANSWER).read_to_string();
        body.map_err(|cause| broken(&self.call, cause))
    }

    /// The body, understood as JSON.
    ///
    /// # Errors
    /// The connection broke, or the body is not of that shape.
    pub(crate) fn parse<T: DeserializeOwned>(self) -> Result<T> {
        let call = self.call.clone();
        let text = self.text()?;
        serde_json::from_str(&text).map_err(|cause| misunderstood(&call, cause))
    }

    /// The body as a stream, and the call for errors about it.
    pub(crate) fn into_reader(self) -> (impl Read, String) {
        (self.response.into_body().into_reader(), self.call)
    }
}

/// The answer ended before its end.
pub(crate) fn broken(call: &str, cause: impl std::fmt::Display) -> Error {
    Error::new(Code::Unreachable, format!("{call}: the answer broke off: {cause}; try again"))
}

/// The answer is not what this command line knows.
pub(crate) fn misunderstood(call: &str, cause: impl std::fmt::Display) -> Error {
    Error::failed(
        format!("{call}: the answer is not understood (is it a HedgehogDB node of this version?)"),
        cause,
    )
}
