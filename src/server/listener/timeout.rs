//! Connection timeouts: one until the first bytes, which tell the version of HTTP, and one for every silence after
//! them.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    alarm::{Alarm, millis},
    rest::Traffic,
};
use crate::clock;

/// What a client of HTTP/2 sends first (RFC 9113 §3.4). No HTTP/1.1 request with its `Host` is shorter.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose reads and writes fail with `TimedOut` when the client does nothing in time.
pub(super) struct IdleTimeout<S> {
    stream: S,
    alarm: Arc<Alarm>,
    traffic: Arc<Traffic>,
    /// In milliseconds.
    idle: u64,
    deadline: u64,
    /// How many bytes have arrived.
    read: usize,
    /// The bytes that the version was read from, until the connection reads them.
    first: Vec<u8>,
}

impl<S> IdleTimeout<S> {
    /// `first` bounds the time until the first bytes have arrived, `idle` every silence after them.
    pub(super) fn new(stream: S, first: Duration, idle: Duration, alarm: Arc<Alarm>) -> Self {
        let deadline = clock::coarse_millis().saturating_add(millis(first));
        let traffic = Arc::default();
        IdleTimeout { stream, alarm, traffic, idle: millis(idle), deadline, read: 0, first: Vec::new() }
    }

    /// What is known of its bytes.
    pub(super) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    /// Has these bytes read before all others. They are the beginning of a head, so the connection is not at rest.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.traffic.note_arrival(clock::coarse_millis());
            self.first.splice(..0, bytes.iter().copied());
        }
    }

    fn reset(&mut self, now: u64) {
        if self.read >= PREFACE.len() {
            self.deadline = now.saturating_add(self.idle);
        }
    }

    /// An error if the client had its time.
    fn late<T>(&self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.alarm.poll(self.deadline, cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> IdleTimeout<S> {
    /// Returns whether the client speaks HTTP/2: reads until that is known.
    pub(super) async fn speaks_http2(&mut self) -> io::Result<bool> {
        poll_fn(|cx| self.poll_version(cx)).await
    }

    fn poll_version(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        // Not in the future, which is kept for as long as the connection is.
        let mut bytes = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(self.poll_stream(cx, &mut buffer))?;
            self.first.extend_from_slice(buffer.filled());
            let known = &self.first[..self.first.len().min(PREFACE.len())];
            if buffer.filled().is_empty() || !PREFACE.starts_with(known) {
                return Poll::Ready(Ok(false));
            }
            if known == PREFACE {
                return Poll::Ready(Ok(true));
            }
        }
    }

    /// Waits for bytes, or the end of the stream, with no more memory than that takes.
    pub(super) async fn arrival(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            let mut bytes = [0; 1024];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(self.poll_stream(cx, &mut buffer))?;
            self.first.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(()))
        })
        .await
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            self.read = self.read.saturating_add(buffer.filled().len() - before);
            let now = clock::coarse_millis();
            self.traffic.note_arrival(now);
            self.reset(now);
            return Poll::Ready(result);
        }
        self.late(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for IdleTimeout<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return self.poll_stream(cx, buffer);
        }
        let length = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first[..length]);
        // An empty one takes no memory.
        self.first = self.first.split_off(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for IdleTimeout<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(written) => {
                self.traffic.note_unsent(false);
                // A connection that sends an answer is not idle.
                self.reset(clock::coarse_millis());
                Poll::Ready(written)
            }
            // A client that does not read its answers has as long as one that does not ask.
            Poll::Pending => {
                self.traffic.note_unsent(true);
                self.late(cx)
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.traffic.note_unsent(flushed.is_pending());
        if flushed.is_pending() { self.late(cx) } else { flushed }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(shut) = Pin::new(&mut self.stream).poll_shutdown(cx) {
            return Poll::Ready(shut);
        }
        // TLS sends a last message, and a client that does not read would block it.
        self.late(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    async fn told(pieces: &[&[u8]]) -> (bool, Vec<u8>) {
        let (mut client, server) = tokio::io::duplex(7);
        let mut stream = IdleTimeout::new(server, LONG, LONG, Arc::default());
        let send = async move {
            for piece in pieces {
                client.write_all(piece).await.expect("sent");
            }
        };
        let receive = async {
            let version = stream.speaks_http2().await.expect("a version");
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.expect("the rest");
            (version, all)
        };
        tokio::join!(send, receive).1
    }

    #[tokio::test]
    async fn the_first_bytes_tell_the_version_and_are_read_after_that() {
        for (pieces, http2) in [
            (&[PREFACE, b"rest"][..], true),
            (&[b"PRI * HT", b"TP/2.0\r\n\r\nS", b"M\r\n\r\n"], true),
            (&[b"PRI * HTTP/1.1\r\n\r\n"], false),
            (&[b"G"], false),
            (&[b"PRI"], false),
            (&[], false),
        ] {
            assert_eq!(told(pieces).await, (http2, pieces.concat()), "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn a_client_has_its_time_for_the_first_bytes_and_for_every_silence() {
        let soon = Duration::from_millis(30);
        let (mut client, server) = tokio::io::duplex(64);
        let mut stream = IdleTimeout::new(server, soon, LONG, Arc::default());
        client.write_all(b"PRI").await.expect("sent");
        let error = stream.speaks_http2().await.expect_err("too late");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let (mut client, server) = tokio::io::duplex(64);
        let mut stream = IdleTimeout::new(server, LONG, soon, Arc::default());
        client.write_all(&[b'a'; 24]).await.expect("sent");
        let mut all = Vec::new();
        let error = stream.read_to_end(&mut all).await.expect_err("too late");
        assert_eq!((error.kind(), all.len()), (io::ErrorKind::TimedOut, 24));
    }
}
