//! The address of a client behind a gateway: the gateway tells it, and only gateways that the configuration trusts are
//! believed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;

use super::listener::Peer;
use crate::config::{DataConfig, TrustedProxy};

/// Returns whether `peer` is a trusted gateway.
pub(super) fn is_gateway(config: &DataConfig, peer: Peer) -> bool {
    match peer {
        Peer(Some(address)) => is_trusted(config, address.ip()),
        Peer(None) => config.trusted_proxies.contains(&TrustedProxy::Unix),
    }
}

/// The client's address, from the header of the gateway at the other end. Every proxy appends the address of its own
/// peer, so the last address that is not a trusted proxy's is the client's; the client may have made up those before
/// it. `None` if the peer is not trusted, or if something that is not an address comes first.
pub(super) fn behind_gateway(config: &DataConfig, peer: Peer, headers: &HeaderMap) -> Option<IpAddr> {
    if !is_gateway(config, peer) {
        return None;
    }
    let lines = headers.get_all(&config.client_address_header.0).iter().rev();
    let entries = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    let mut addresses = entries.map(|entry| parse(entry.trim_matches([' ', '\t'])));
    addresses.find(|address| address.is_none_or(|address| !is_trusted(config, address))).flatten()
}

fn is_trusted(config: &DataConfig, address: IpAddr) -> bool {
    config.trusted_proxies.iter().any(|proxy| matches!(proxy, TrustedProxy::Block(block) if block.contains(address)))
}

/// Parses an address as proxies write it: alone, in brackets, or with a port.
fn parse(entry: &str) -> Option<IpAddr> {
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = entry.parse::<IpAddr>().ok().or_else(|| bracketed().map(IpAddr::V6)).or_else(with_port);
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(trusted: &[&str]) -> DataConfig {
        let trusted_proxies = trusted.iter().map(|one| (*one).to_owned().try_into().expect("a proxy")).collect();
        DataConfig { trusted_proxies, ..DataConfig::default() }
    }

    fn seen(peer: &str, lines: &[&str]) -> String {
        let config = config(&["10.0.0.0/8", "2001:db8::7", "unix"]);
        let headers = lines.iter().map(|line| (config.client_address_header.0.clone(), line.parse().expect("a value")));
        let peer = Peer(peer.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 4711)));
        let headers: HeaderMap = headers.fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        });
        behind_gateway(&config, peer, &headers).map_or("-".to_owned(), |address| address.to_string())
    }

    #[test]
    fn the_last_address_that_is_no_proxys_is_the_clients() {
        for (lines, client) in [
            (vec!["192.0.2.1"], "192.0.2.1"),
            (vec!["198.51.100.9, 192.0.2.1"], "192.0.2.1"),
            (vec!["198.51.100.9,192.0.2.1 ,\t10.1.1.1, 2001:db8::7"], "192.0.2.1"),
            (vec!["198.51.100.9", "192.0.2.1", "10.1.1.1"], "192.0.2.1"),
            (vec!["192.0.2.1:443"], "192.0.2.1"),
            (vec!["[2001:db8::1]:443"], "2001:db8::1"),
            (vec!["[2001:db8::1]"], "2001:db8::1"),
            (vec!["2001:db8::1, [2001:db8::7]"], "2001:db8::1"),
            (vec!["::ffff:192.0.2.1, ::ffff:10.1.1.1"], "192.0.2.1"),
            (vec!["::ffff:192.0.2.1, [::ffff:10.1.1.1]:80"], "192.0.2.1"),
        ] {
            assert_eq!(seen("10.0.0.1", &lines), client, "{lines:?}");
        }
    }

    #[test]
    fn where_it_is_not_said_it_is_not_known() {
        for lines in [
            vec![],
            vec![""],
            vec!["10.1.1.1, 10.0.0.1"],
            vec!["192.0.2.1, unknown"],
            vec!["192.0.2.1, "],
            vec!["192.0.2.1", "\u{e9}"],
            vec!["192.0.2.1, _hidden, 10.1.1.1"],
            vec!["192.0.2.1, 192.0.2.300"],
            vec!["192.0.2.1, fe80::1%eth0"],
            vec!["192.0.2.1, [192.0.2.2]"],
            vec!["192.0.2.1, for=192.0.2.2"],
            vec!["192.0.2.1;192.0.2.2"],
            vec!["192.0.2.1, 010.0.0.1"],
            vec!["192.0.2.1 192.0.2.2"],
        ] {
            assert_eq!(seen("10.0.0.1", &lines), "-", "{lines:?}");
        }
    }

    #[test]
    fn only_a_gateway_that_is_trusted_is_believed() {
        for (peer, client) in [
            ("10.255.0.1", "192.0.2.1"),
            ("::ffff:10.0.0.1", "192.0.2.1"),
            ("2001:db8::7", "192.0.2.1"),
            ("a Unix socket", "192.0.2.1"),
            ("127.0.0.1", "-"),
            ("2001:db8::8", "-"),
            ("::10.0.0.1", "-"),
        ] {
            assert_eq!(seen(peer, &["192.0.2.1"]), client, "{peer}");
        }
        let nobody = DataConfig::default();
        assert!(!is_gateway(&nobody, Peer(None)));
    }
}
