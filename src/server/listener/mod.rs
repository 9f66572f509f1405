//! Listeners: TCP or Unix sockets, TLS or plain text, HTTP/1.1 and HTTP/2, with limits on heads, time and connections.

mod alarm;
mod bound;
mod connection;
mod connections;
mod drain;
mod keepalive;
mod lingering;
mod rest;
mod sending;
mod service;
mod socket_file;
mod timeout;
mod transport;
mod workers;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};

use super::body_budget::BodyBudget;

pub(super) use self::{
    bound::Bound,
    service::{Answer, PeerRequest, Service},
    transport::{Environment, Transport},
    workers::Workers,
};

/// Bounds of connections.
#[derive(Clone)]
pub(super) struct Limits {
    pub(super) max_head: usize,
    pub(super) head_timeout: Duration,
    pub(super) body_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) max_connections: usize,
    /// The memory for bodies, which all listeners share.
    pub(super) bodies: Arc<BodyBudget>,
}

/// The address at the other end of a connection; none on a Unix socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) Option<SocketAddr>);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
