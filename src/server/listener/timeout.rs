//! Connection timeouts: one until the first bytes, which tell the version of HTTP, and one for every silence after them.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// The length of HTTP/2's preface (RFC 9113 §3.4). No HTTP/1.1 request with its `Host` is shorter.
const FIRST_BYTES: usize = 24;

/// A stream whose reads and writes fail with `TimedOut` when the client does nothing in time.
pub(super) struct IdleTimeout<S> {
    stream: S,
    idle: Duration,
    deadline: Pin<Box<Sleep>>,
    read: usize,
}

impl<S> IdleTimeout<S> {
    /// `first` bounds the time until the first bytes have arrived, `idle` every silence after them.
    pub(super) fn new(stream: S, first: Duration, idle: Duration) -> Self {
        IdleTimeout { stream, idle, deadline: Box::pin(sleep_until(Instant::now() + first)), read: 0 }
    }

    fn reset(&mut self) {
        if self.read >= FIRST_BYTES {
            self.deadline.as_mut().reset(Instant::now() + self.idle);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for IdleTimeout<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            self.read = self.read.saturating_add(buffer.filled().len() - before);
            self.reset();
            return Poll::Ready(result);
        }
        self.deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for IdleTimeout<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(written) => {
                // A connection that sends an answer is not idle.
                self.reset();
                Poll::Ready(written)
            }
            // A client that does not read its answers has as long as one that does not ask.
            Poll::Pending => self.deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx) {
            return Poll::Ready(flushed);
        }
        self.deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(shut) = Pin::new(&mut self.stream).poll_shutdown(cx) {
            return Poll::Ready(shut);
        }
        // TLS sends a last message, and a client that does not read would block it.
        self.deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}
