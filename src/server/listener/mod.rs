//! Listeners: TCP or Unix sockets, TLS or plain text, HTTP/1.1 and HTTP/2, with limits on heads, time and connections.

mod answers;
mod bound;
mod connection;
mod transport;
mod unread;

use std::{net::SocketAddr, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};

pub(super) use self::{
    answers::{Answers, Asked},
    bound::Bound,
    transport::Transport,
};

/// What a connection may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_head: usize,
    pub(super) head_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) max_connections: usize,
}

/// The other end of a connection; none on a Unix socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) Option<SocketAddr>);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
