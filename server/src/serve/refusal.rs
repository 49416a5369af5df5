//! A connection too many: told so in a few bytes, and closed.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\n\
    content-length: 41\r\n\
    retry-after: 1\r\n\
    connection: close\r\n\r\n\
    {\"error\":\"too many connections are open\"}";

/// How long the client has to say what it meant to say: closed before that, its bytes would meet a reset, and the
/// reset would overtake the answer.
const LINGER: Duration = Duration::from_millis(500);

/// Answers without reading, and closes.
pub(super) async fn refuse(mut stream: TcpStream) {
    let _ = timeout(LINGER, async {
        stream.write_all(ANSWER).await?;
        stream.shutdown().await?;
        let mut unread = [0; 1024];
        while stream.read(&mut unread).await? > 0 {}
        Ok::<_, std::io::Error>(())
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let text = str::from_utf8(ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{} bytes", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(body).unwrap()["error"].is_string());
    }
}
