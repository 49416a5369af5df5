//! Traces of requests, sent to a collector by OTLP over HTTP (protobuf).
//!
//! Spans are sent in batches by a thread of their own. Its queue is bounded: where requests end faster than the
//! collector takes them, traces are dropped, and requests are not slowed. `OTEL_TRACES_SAMPLER=traceidratio` with
//! `OTEL_TRACES_SAMPLER_ARG=0.01` in the environment takes one in a hundred; `OTEL_BSP_*` sizes queue and batches.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;

use super::{BoxedLayer, TraceError};

/// The path of traces below a collector's address, by the specification of OTLP.
const PATH: &str = "/v1/traces";
/// The module whose spans are the requests.
const REQUESTS: &str = "server::guard";
/// How long the end of the program waits for the last traces to be taken.
const SHUTDOWN: Duration = Duration::from_secs(3);

/// The thread that sends; it ends, after its last batch, when this is dropped.
#[derive(Debug)]
pub(super) struct Exporter(SdkTracerProvider);

impl Drop for Exporter {
    fn drop(&mut self) {
        // Traces that a collector does not take are lost; the program ends all the same.
        let _ = self.0.shutdown_with_timeout(SHUTDOWN);
    }
}

/// Starts to send; the layer takes the spans in.
pub(super) fn start(endpoint: &str, node_id: &str) -> Result<(Exporter, BoxedLayer), TraceError> {
    let refused = |reason: String| TraceError::Endpoint { endpoint: endpoint.to_string(), reason };
    if !endpoint.starts_with("http://") {
        return Err(refused("it has to begin with http://; for TLS, put a collector beside the node".into()));
    }
    let address = endpoint.trim_end_matches('/').trim_end_matches(PATH);
    let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{address}{PATH}")).build();
    let exporter = exporter.map_err(|error| refused(error.to_string()))?;
    let resource = Resource::builder()
        .with_service_name("hedgehogdb")
        .with_attribute(KeyValue::new("service.instance.id", node_id.to_string()))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("server"));
    // Nothing of the exporter's own: it would send spans about sending spans.
    let requests = Targets::new().with_target(REQUESTS, LevelFilter::DEBUG);
    Ok((Exporter(provider), layer.with_filter(requests).boxed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::{Read, Write};
    use std::net::TcpListener;

    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn the_span_of_a_request_arrives_at_the_collector() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let collector = std::thread::spawn(move || receive(&listener));

        let (exporter, layer) = start(&endpoint, "node-7").unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(vec![layer]), || {
            tracing::debug_span!(target: "server::guard", "request", operation = "put_item").in_scope(|| ());
            tracing::debug_span!(target: "hyper_util::client", "not a request").in_scope(|| ());
        });
        drop(exporter);

        let received = collector.join().unwrap();
        assert!(received.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{received}");
        for expected in ["hedgehogdb", "node-7", "request", "put_item"] {
            assert!(received.contains(expected), "{expected} is not in {received}");
        }
        assert!(!received.contains("not a request"), "{received}");
    }

    #[test]
    fn an_address_that_is_none_is_refused_with_what_to_write() {
        for endpoint in ["https://127.0.0.1:4318", "127.0.0.1:4318", "http://[", ""] {
            let refused = start(endpoint, "node-1").map(drop).unwrap_err().to_string();
            assert!(refused.contains(&format!("{endpoint:?}")), "{refused}");
        }
    }

    /// One request, answered with 200: its head and body, as far as they are text.
    fn receive(listener: &TcpListener) -> String {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        let mut length = None;
        while length.is_none_or(|length| received.len() < length) {
            let mut chunk = [0; 4096];
            let read = stream.read(&mut chunk).unwrap();
            assert_ne!(read, 0, "the request ended early");
            received.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&received).to_lowercase();
            let head = text.find("\r\n\r\n").map(|end| end + 4);
            let body = text
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.split("\r\n").next()?.parse().ok());
            length = head.zip(body).map(|(head, body): (usize, usize)| head + body);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        String::from_utf8_lossy(&received).into_owned()
    }
}
