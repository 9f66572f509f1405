//! The end of a connection whose client may still be sending. To close it with bytes unread resets it, and the client may lose
//! the answer that is on its way: first it is said that nothing more comes, and then what still arrives is read for a while.

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

use super::{Stream, connections::Place};

/// How long what still arrives is read.
const LINGER: Duration = Duration::from_secs(5);

/// A stream that is closed so when it is dropped, if need be. Its place goes with it.
pub(super) struct Lingering(Option<(Box<dyn Stream>, Place)>);

impl Lingering {
    pub(super) fn new(stream: Box<dyn Stream>, place: Place) -> Self {
        Lingering(Some((stream, place)))
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
        let Some((stream, place)) = self.0.take() else { return };
        if place.connection.has_unread()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                let _or_too_long = tokio::time::timeout(LINGER, linger(stream)).await;
                drop(place);
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
