//! A connection that does not wait for ever: what says nothing for too long is closed, and so is what has not even said by
//! its first bytes which version of HTTP it speaks.

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

/// A stream whose reads end with an error when nothing arrives in time.
pub(super) struct Patience<S> {
    stream: S,
    idle: Duration,
    deadline: Pin<Box<Sleep>>,
    read: usize,
}

impl<S> Patience<S> {
    /// `first` bounds the time until the first bytes are in, `idle` every silence behind them.
    pub(super) fn new(stream: S, first: Duration, idle: Duration) -> Self {
        Patience { stream, idle, deadline: Box::pin(sleep_until(Instant::now() + first)), read: 0 }
    }

    fn said_something(&mut self) {
        if self.read >= FIRST_BYTES {
            self.deadline.as_mut().reset(Instant::now() + self.idle);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            self.read = self.read.saturating_add(buffer.filled().len() - before);
            self.said_something();
            return Poll::Ready(result);
        }
        self.deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(written) => {
                // An answer on its way is no silence.
                self.said_something();
                Poll::Ready(written)
            }
            // A client that does not read its answers is waited for as long as one that does not ask.
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
        // TLS says goodbye, and who does not read would not let it.
        self.deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}
