//! One persistent connection: a request goes out in one write, its answer is read into one buffer.
//!
//! The generator shares its machine with what it measures, so a request costs a write, a read and little else: no
//! header map, no body object, no allocation.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wire::{self, Chunks, Framing, Malformed};

const BUFFER: usize = 8 << 10;

/// What came back.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// Whether the connection can be used again.
    pub(crate) keep: bool,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The connection could not be made: the request was not sent.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// The other side closed it in the middle of an answer, or instead of one.
    #[error("the connection was closed before the answer's end")]
    Closed,
    /// Something answered that does not speak HTTP/1.1.
    #[error("malformed answer: {0}")]
    Malformed(Malformed),
}

/// An open connection, with what of the next answer is already read.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Connection {
    /// Connects to the first of `addresses` that answers.
    pub(crate) async fn open(addresses: &[SocketAddr]) -> Result<Connection, Fault> {
        let stream = TcpStream::connect(addresses).await.map_err(Fault::Connect)?;
        // Requests are whole when they are written: waiting for more would only delay them.
        stream.set_nodelay(true).map_err(Fault::Connect)?;
        Ok(Connection { stream, buffer: vec![0; BUFFER], start: 0, end: 0 })
    }

    /// Whether the other side has closed an idle connection, or said something that nobody asked for.
    pub(crate) fn is_stale(&self) -> bool {
        let nothing = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        self.start < self.end || !matches!(self.stream.try_read(&mut [0]), Err(error) if nothing(&error))
    }

    /// Sends `request` and hands the answer's body to `sink`, piece by piece.
    ///
    /// After an error, or where [`Answer::keep`] is false, the connection is of no more use.
    pub(crate) async fn exchange(
        &mut self,
        request: &[u8],
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<Answer, Fault> {
        self.stream.write_all(request).await?;
        let head = loop {
            match wire::head(&self.buffer[self.start..self.end]).map_err(Fault::Malformed)? {
                // An interim answer: the real one follows.
                Some(head) if (100..200).contains(&head.status) => self.start += head.bytes,
                Some(head) => break head,
                None => self.fill().await?,
            }
        };
        self.start += head.bytes;
        match head.framing {
            Framing::Length(length) => self.counted(length, sink).await?,
            Framing::Chunked => self.chunked(sink).await?,
            Framing::UntilClose => self.until_close(sink).await?,
        }
        Ok(Answer { status: head.status, keep: head.keep })
    }

    async fn counted(&mut self, length: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        let mut left = length;
        loop {
            let ready = usize::try_from(left).unwrap_or(usize::MAX).min(self.end - self.start);
            sink(&self.buffer[self.start..self.start + ready]);
            self.start += ready;
            left -= ready as u64;
            if left == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn chunked(&mut self, sink: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        let mut chunks = Chunks::default();
        loop {
            let ready = &self.buffer[self.start..self.end];
            self.start += chunks.feed(ready, sink).map_err(Fault::Malformed)?;
            if chunks.done() {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn until_close(&mut self, sink: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        loop {
            sink(&self.buffer[self.start..self.end]);
            self.start = self.end;
            match self.fill().await {
                Ok(()) => {}
                Err(Fault::Closed) => return Ok(()),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Reads more, behind what is there.
    async fn fill(&mut self) -> Result<(), Fault> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.end == self.buffer.len() {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        match self.stream.read(&mut self.buffer[self.end..]).await? {
            0 => Err(Fault::Closed),
            read => {
                self.end += read;
                Ok(())
            }
        }
    }
}
