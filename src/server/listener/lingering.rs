//! The end of a connection whose client may still be sending. To close it with unread bytes resets it, and the client
//! may lose the answer that is on its way. So the sending half is closed first, and what still arrives is read for a
//! while.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    runtime::Handle,
};

use super::{Stream, connections::ConnectionPermit};

/// For how long what still arrives is read.
const LINGER: Duration = Duration::from_secs(5);

/// A stream that is closed in this way when it is dropped, if its client may still be sending. An evicted one is closed
/// at once.
pub(super) struct Lingering(Option<(Box<dyn Stream>, ConnectionPermit)>);

impl Lingering {
    pub(super) fn new(stream: Box<dyn Stream>, permit: ConnectionPermit) -> Self {
        Lingering(Some((stream, permit)))
    }

    fn poll_on<T>(
        self: Pin<&mut Self>,
        poll: impl FnOnce(Pin<&mut Box<dyn Stream>>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.get_mut().0 {
            Some((stream, _)) => poll(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some((stream, permit)) = self.0.take() else { return };
        if permit.connection.has_unread()
            && !permit.connection.is_evicted()
            && let Ok(runtime) = Handle::try_current()
        {
            permit.connection.linger();
            runtime.spawn(async move {
                tokio::select! {
                    _ended_or_too_long = tokio::time::timeout(LINGER, linger(stream)) => {}
                    () = permit.connection.evicted() => {}
                }
            });
        }
    }
}

async fn linger(mut stream: Box<dyn Stream>) -> io::Result<()> {
    stream.shutdown().await?;
    let mut dropped = [0; 4096];
    while stream.read(&mut dropped).await? > 0 {}
    Ok(())
}

impl AsyncRead for Lingering {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_on(|stream| stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_on(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_on(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_on(|stream| stream.poll_shutdown(cx))
    }
}
