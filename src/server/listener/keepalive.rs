//! Clients that are gone without a word: a follower whose machine or network went away keeps its connection for two
//! hours by the defaults of Linux, and a quarter of an hour where bytes are on their way to it.

use std::{io, os::fd::AsFd, time::Duration};

use rustix::net::sockopt;

/// How long a client may leave data or a probe unacknowledged.
const GONE: Duration = Duration::from_secs(20);
/// The silence behind which the first probe is sent, and the time between probes.
const FIRST_PROBE: Duration = Duration::from_secs(10);
const NEXT_PROBE: Duration = Duration::from_secs(5);
/// Unanswered probes that end a connection, on systems that do not know the time.
const PROBES: u32 = 3;

/// Has the kernel end a TCP connection whose client is gone.
pub(super) fn notice_lost_clients(socket: impl AsFd) -> io::Result<()> {
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, FIRST_PROBE)?;
    sockopt::set_tcp_keepintvl(&socket, NEXT_PROBE)?;
    sockopt::set_tcp_keepcnt(&socket, PROBES)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(&socket, u32::try_from(GONE.as_millis()).unwrap_or(u32::MAX))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Listen, UnixMode},
        server::listener::Bound,
    };

    #[tokio::test]
    async fn an_accepted_connection_notices_that_its_client_is_gone() {
        let listen = Listen::Tcp("127.0.0.1:0".parse().expect("an address"));
        let Bound::Tcp(listener) = Bound::bind(&listen, UnixMode(0o600)).await.expect("a port") else {
            panic!("a TCP listener");
        };
        let address = listener.local_addr().expect("its address");
        let (_client, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
        let (connection, _) = accepted.expect("a connection");
        assert!(sockopt::socket_keepalive(&connection).expect("an option"));
        assert_eq!(sockopt::tcp_keepidle(&connection).expect("an option"), FIRST_PROBE);
        assert_eq!(sockopt::tcp_keepintvl(&connection).expect("an option"), NEXT_PROBE);
        assert_eq!(sockopt::tcp_keepcnt(&connection).expect("an option"), PROBES);
        assert_eq!(sockopt::tcp_user_timeout(&connection).expect("an option"), 20_000);
    }
}
