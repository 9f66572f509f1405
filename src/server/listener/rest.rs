//! Connections at rest. Gateways keep many open for a request in a while. What HTTP/1.1 holds of one, which is two
//! buffers of 8 KiB above all, is dropped soon after its last answer, and made anew when the next bytes arrive.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use super::{alarm::millis, connections::Connection};

/// How long after an answer a connection is at rest. A client that asks all the time is faster.
const PAUSE: Duration = Duration::from_millis(50);

/// What is known of a connection's bytes.
#[derive(Default)]
pub(super) struct Traffic {
    /// When bytes arrived last, by the coarse clock.
    arrived: AtomicU64,
    /// Whether the client does not take bytes that were written.
    unsent: AtomicBool,
}

impl Traffic {
    pub(super) fn note_arrival(&self, now: u64) {
        self.arrived.store(now, Ordering::Relaxed);
    }

    pub(super) fn note_unsent(&self, unsent: bool) {
        self.unsent.store(unsent, Ordering::Relaxed);
    }

    /// Returns whether a connection over HTTP/1.1 waits for its next request at `now`: the last one was answered, the
    /// answer is sent, its body is read, and nothing arrived after that.
    pub(super) fn is_at_rest(&self, connection: &Connection, now: u64) -> bool {
        let since = connection.idle_since();
        !self.unsent.load(Ordering::Relaxed)
            && since.is_some_and(|since| {
                self.arrived.load(Ordering::Relaxed) <= since && now.saturating_sub(since) >= millis(PAUSE)
            })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        pin::Pin,
        sync::{Arc, atomic::AtomicUsize},
        task::{Context, Poll},
    };

    use axum::{Router, routing};
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

    use super::{
        super::{
            Limits, Peer, connection,
            connections::{ConnectionPermit, Connections},
            transport::Secured,
        },
        *,
    };
    use crate::{clock, server::body_budget::BodyBudget};

    async fn permit() -> ConnectionPermit {
        Connections::new(1).permit(|| {}).await.expect("room")
    }

    #[tokio::test]
    async fn a_connection_is_at_rest_when_nothing_of_it_is_under_way() {
        let (permit, traffic) = (permit().await, Traffic::default());
        let connection = &permit.connection;
        let later = clock::coarse_millis() + 60_000;
        let is_at_rest = || traffic.is_at_rest(connection, later);
        assert!(!is_at_rest(), "it has not asked");
        traffic.note_arrival(clock::coarse_millis());
        let request = connection.begin_request();
        assert!(!is_at_rest(), "a request is in flight");
        drop(request);
        assert!(is_at_rest());
        assert!(!traffic.is_at_rest(connection, clock::coarse_millis()), "it was answered just now");
        traffic.note_unsent(true);
        assert!(!is_at_rest(), "the answer is not sent");
        traffic.note_unsent(false);
        connection.drains(true);
        assert!(!is_at_rest(), "the body is not read");
        connection.drains(false);
        traffic.note_arrival(later - 1_000);
        assert!(!is_at_rest(), "the next request arrives");
    }

    /// A stream that notes how much room its reader has: HTTP has some thousand bytes, a connection at rest fewer.
    struct Noting(DuplexStream, Arc<AtomicUsize>);

    impl AsyncRead for Noting {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            self.1.store(buffer.remaining(), Ordering::Relaxed);
            Pin::new(&mut self.0).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Noting {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    async fn answer(client: &mut DuplexStream) -> String {
        let mut all = Vec::new();
        while !all.ends_with(b"END") {
            assert!(client.read_buf(&mut all).await.expect("an answer") > 0, "{}", String::from_utf8_lossy(&all));
        }
        String::from_utf8(all).expect("text")
    }

    #[tokio::test]
    async fn a_connection_at_rest_holds_no_buffers_and_takes_the_next_request_whole() {
        let echo = |body: String| async move { format!("{} bytes END", body.len()) };
        let endpoints = Router::new().route("/", routing::post(echo));
        let long = Duration::from_secs(600);
        let limits = Limits {
            max_head: 16 << 10,
            head_timeout: long,
            body_timeout: long,
            idle_timeout: long,
            max_connections: 1,
            bodies: BodyBudget::new(1 << 20),
        };
        let (mut client, server) = tokio::io::duplex(64 << 10);
        let room = Arc::new(AtomicUsize::new(0));
        let stream = Box::new(Noting(server, Arc::clone(&room)));
        let permit = permit().await;
        let secured = Secured { stream, client: None };
        let serving = tokio::spawn(connection::serve(secured, permit, Peer(None), endpoints, limits));
        let rests = async || {
            while !(1..=1024).contains(&room.load(Ordering::Relaxed)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let request = |length: usize| format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
        for length in [0, 3, 5_000, 20_000] {
            let mut whole = request(length).into_bytes();
            whole.resize(whole.len() + length, b'a');
            // In two pieces, of which the first ends the rest.
            let (first, second) = whole.split_at(7);
            client.write_all(first).await.expect("sent");
            tokio::task::yield_now().await;
            client.write_all(second).await.expect("sent");
            assert!(answer(&mut client).await.contains(&format!("{length} bytes END")));
            assert!(room.load(Ordering::Relaxed) > 1024, "while it asks");
            rests().await;
        }
        drop(client.shutdown().await);
        tokio::time::timeout(long, serving).await.expect("ended").expect("no panic");
        assert_eq!(client.read(&mut [0; 1]).await.expect("the end"), 0);
    }
}
