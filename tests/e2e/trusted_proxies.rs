//! The client's address, as a gateway says it that is trusted.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use crate::support::{
    deployment::Deployment,
    envoy::{Envoy, Question},
    server::Server,
};

struct World {
    server: Server,
    key: String,
    deployment: Deployment,
}

impl World {
    /// A key that is bound to 192.0.2.0/24, and a server that trusts these.
    fn trusting(trusted: &str) -> Self {
        Self::with(&[("BULLA_DATA__TRUSTED_PROXIES", trusted)])
    }

    fn with(environment: &[(&str, &str)]) -> Self {
        let deployment = Deployment::new();
        let key = deployment.issue_text("live", &["--cidr", "192.0.2.0/24"]);
        World { server: Server::start_with(&deployment, environment), key, deployment }
    }

    /// Whether the key is accepted from where these headers say.
    fn accepts(&self, headers: &[(&str, &str)]) -> bool {
        let headers = [&[("x-api-key", self.key.as_str())], headers].concat();
        match self.server.data.request("GET", "/v1/authorize", &headers, "").status {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_trusted_gateway_is_believed_and_a_client_before_it_is_not() {
    let world = World::trusting("['127.0.0.0/8', '10.0.0.0/8']");
    for (chain, accepted) in [
        (vec!["192.0.2.7"], true),
        (vec!["192.0.2.7:4711"], true),
        (vec!["::ffff:192.0.2.7"], true),
        (vec!["198.51.100.1, 192.0.2.7"], true),
        (vec!["unknown, 192.0.2.7, 10.1.1.1"], true),
        (vec!["198.51.100.1", "192.0.2.7", "127.0.0.2"], true),
        (vec![], false),
        (vec!["198.51.100.1"], false),
        (vec!["192.0.2.7, 198.51.100.1"], false),
        (vec!["192.0.2.7", "198.51.100.1"], false),
        (vec!["192.0.2.7, garbage"], false),
        (vec!["192.0.2.7, 10.1.1.x, 10.1.1.1"], false),
        (vec!["10.1.1.1"], false),
        (vec![""], false),
    ] {
        let headers: Vec<_> = chain.iter().map(|line| ("x-forwarded-for", *line)).collect();
        assert_eq!(world.accepts(&headers), accepted, "{chain:?}");
    }
    assert!(!world.accepts(&[("x-real-ip", "192.0.2.7"), ("forwarded", "for=192.0.2.7")]), "another header");
}

#[test]
fn nobody_else_is_believed() {
    for trusted in ["[]", "['192.0.2.0/24', 'unix']"] {
        let world = World::trusting(trusted);
        assert!(!world.accepts(&[("x-forwarded-for", "192.0.2.7")]), "{trusted}");
        let envoy = Envoy::new(&world.server.data);
        let question = Question::default().headers(&[("x-api-key", &world.key)]).seen_at("192.0.2.7");
        assert_eq!(envoy.ask(question).denied().0, 401, "{trusted}");
    }
}

#[test]
fn envoy_says_it_itself() {
    let world = World::trusting("['127.0.0.1']");
    let envoy = Envoy::new(&world.server.data);
    for (address, status) in
        [("192.0.2.7", 200), ("::ffff:192.0.2.7", 200), ("198.51.100.1", 401), ("/a/socket", 401), ("", 401)]
    {
        let client = [("x-api-key", world.key.as_str()), ("x-forwarded-for", "192.0.2.7")];
        let question = Question::default().headers(&client).seen_at(address);
        assert_eq!(envoy.ask(question).denied().0, status, "{address:?}");
    }
    let unsaid = Question::default().headers(&[("x-api-key", &world.key), ("x-forwarded-for", "192.0.2.7")]);
    assert_eq!(envoy.ask(unsaid).denied().0, 401);
}

#[test]
fn the_header_is_a_matter_of_configuration_and_so_is_trust() {
    let world = World::with(&[("BULLA_DATA__CLIENT_ADDRESS_HEADER", "X-Real-IP")]);
    let real = [("x-real-ip", "192.0.2.7"), ("x-forwarded-for", "198.51.100.1")];
    assert!(!world.accepts(&real));
    world.deployment.configure("trusted_proxies = []", "trusted_proxies = ['127.0.0.1/32']");
    world.server.until("the new configuration", |_| world.accepts(&real));
    assert!(!world.accepts(&[("x-forwarded-for", "192.0.2.7")]));
    world.deployment.configure("['127.0.0.1/32']", "['127.0.0.1/8']");
    world.server.signal("HUP");
    world.server.until("a complaint", |server| server.log().contains("write the block's first address"));
    assert!(world.accepts(&real), "what was there stays");
}

#[test]
fn every_client_of_the_unix_socket_is_trusted_by_that_word() {
    for (trusted, status) in [("['unix']", "200"), ("['127.0.0.1', '::/0', '0.0.0.0/0']", "401")] {
        let deployment = Deployment::new();
        let key = deployment.issue_text("live", &["--cidr", "192.0.2.0/24"]);
        let server = Server::start_on("unix:data.sock", &deployment, &[("BULLA_DATA__TRUSTED_PROXIES", trusted)]);
        let mut stream = UnixStream::connect(deployment.file("data.sock")).expect("a connection");
        let head = format!(
            "GET /v1/authorize HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\nx-forwarded-for: 192.0.2.7\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
        drop(server);
    }
}

#[test]
fn a_key_that_revokes_itself_does_so_from_where_its_client_is() {
    let world = World::trusting("['127.0.0.1']");
    for (client, told) in [("198.51.100.1, 192.0.2.7", "192.0.2.7"), ("garbage", "127.0.0.1")] {
        let key = world.deployment.issue_text("live", &[]);
        let headers = [("x-api-key", key.as_str()), ("x-forwarded-for", client)];
        assert_eq!(world.server.data.request("POST", "/v1/self-revoke", &headers, "").status, 200);
        let audit = world.server.admin.get("/v1/audit").json();
        let last = audit["records"].as_array().and_then(|all| all.last()).expect("a record").clone();
        assert_eq!((last["action"].as_str(), last["address"].as_str()), (Some("api_key.self_revoke"), Some(told)));
    }
}
