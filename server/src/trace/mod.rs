//! Where log lines and traces go.
//!
//! Log lines go to standard error, as text or as JSON. With the feature `otlp` and an endpoint, the span of every
//! request goes to a collector as well (`otlp.rs`), whatever the log's filter lets through.

#[cfg(feature = "otlp")]
mod otlp;

use std::io::IsTerminal;

use thiserror::Error;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::LogFormat;

/// Why log lines and traces cannot go where they should.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The filter is not one.
    #[error("the log's filter {filter:?} is not understood: {cause}; write for example `info,server=debug`")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        cause: tracing_subscriber::filter::ParseError,
    },
    /// The collector's address is not one, or this build cannot send traces.
    #[error("traces cannot be sent to {endpoint:?}: {reason}")]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// This was called before.
    #[error("log lines already go elsewhere: {0}")]
    Taken(#[from] TryInitError),
}

/// Keeps traces going out; when dropped, those that wait are sent.
#[derive(Debug, Default)]
#[must_use = "traces end when this is dropped"]
pub struct Tracing {
    #[cfg(feature = "otlp")]
    _exporter: Option<otlp::Exporter>,
}

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Begins to log, in the syntax of [`EnvFilter`], and, where `otlp_endpoint` is given, to send traces there
/// (`http://127.0.0.1:4318`), in the name of `node_id`. To be called once, outside of a runtime.
///
/// # Errors
/// A filter or endpoint that is not one; a call that is not the first; an endpoint without the feature `otlp`.
pub fn init(
    format: LogFormat,
    filter: &str,
    otlp_endpoint: Option<&str>,
    node_id: &str,
) -> Result<Tracing, TraceError> {
    let mut layers = vec![log_layer(format, filter)?];
    let tracing = trace_layer(otlp_endpoint, node_id, &mut layers)?;
    tracing_subscriber::registry().with(layers).try_init()?;
    Ok(tracing)
}

fn log_layer(format: LogFormat, filter: &str) -> Result<BoxedLayer, TraceError> {
    let parsed = EnvFilter::try_new(filter);
    let filter = parsed.map_err(|cause| TraceError::Filter { filter: filter.to_string(), cause })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    Ok(match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    })
}

#[cfg(feature = "otlp")]
fn trace_layer(
    endpoint: Option<&str>,
    node_id: &str,
    layers: &mut Vec<BoxedLayer>,
) -> Result<Tracing, TraceError> {
    let Some(endpoint) = endpoint else { return Ok(Tracing::default()) };
    let (exporter, layer) = otlp::start(endpoint, node_id)?;
    layers.push(layer);
    Ok(Tracing { _exporter: Some(exporter) })
}

#[cfg(not(feature = "otlp"))]
fn trace_layer(endpoint: Option<&str>, _: &str, _: &mut Vec<BoxedLayer>) -> Result<Tracing, TraceError> {
    match endpoint {
        None => Ok(Tracing::default()),
        Some(endpoint) => {
            let reason = "this build cannot; build it with `--features otlp`".to_string();
            Err(TraceError::Endpoint { endpoint: endpoint.to_string(), reason })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_refused_with_an_example() {
        let refused = log_layer(LogFormat::Text, "server=loud").map(drop).unwrap_err().to_string();
        assert!(refused.contains("server=loud") && refused.contains("server=debug"), "{refused}");
    }

    #[cfg(not(feature = "otlp"))]
    #[test]
    fn an_endpoint_is_refused_by_a_build_that_cannot_send_traces() {
        let refused = trace_layer(Some("http://127.0.0.1:4318"), "node-1", &mut Vec::new()).unwrap_err();
        assert!(refused.to_string().contains("--features otlp"), "{refused}");
    }
}
