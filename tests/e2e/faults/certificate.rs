//! A certificate that expires between an edge and a node: a proxy before the node asks for it.

use std::path::Path;

use super::{
    Truth, World,
    proxied::{PROXY_PORT, nginx},
    until,
};
use crate::support::{
    authority::{Authority, replace},
    netns::Host,
    on_hosts::{EdgeOn, Verdict},
    process::Process,
};

/// How long the edge's first certificate is good, in seconds.
const BRIEF: u64 = 40;

#[test]
fn an_edge_whose_client_certificate_expires_goes_on_and_follows_again_with_a_new_one() {
    let world = World::new("4s");
    let (here, away) = (world.network.host(), world.network.host());
    let node = world.node(&here);
    let clients = Authority::new("clients");
    let folder = tempfile::tempdir().expect("a folder");
    let _proxy = proxy(&world, &here, &clients, folder.path());
    let brief = clients.client_for("edge.example", BRIEF);
    let source = format!("https://{}:{PROXY_PORT}", here.address);
    let edge = EdgeOn::following(&world.deployment, &world.authority, &away, &[&source]);
    edge.files
        .configure("# client_certificate = \"edge.crt\"", &format!("client_certificate = {:?}", brief.certificate));
    edge.files.configure("# client_key = \"edge-tls.key\"", &format!("client_key = {:?}", brief.key));
    let edge = edge.start();
    let mut truth = Truth::new(&node);
    until("the edge knows the first revocation", || truth.is_known(|key| edge.verdict(key)));
    until("the proxy refuses the edge's certificate", || {
        assert!(truth.is_kept(1, |key| edge.verdict(key)), "it goes on");
        edge.ready()["degraded"].to_string().contains("follow source")
    });
    truth.revoke_at(&node);
    assert!(truth.is_kept(1, |key| edge.verdict(key)), "it goes on, and forgets nothing");

    let renewed = clients.client("edge.example");
    let read = |path| std::fs::read_to_string(path).expect("PEM");
    replace(&brief.key, &read(&renewed.key));
    replace(&brief.certificate, &read(&renewed.certificate));
    until("the edge knows everything with its new certificate", || truth.is_known(|key| edge.verdict(key)));
    until("the edge is well", || edge.is_well());
    assert_eq!(edge.verdict(&truth.good), Verdict::Accepted);
}

/// An nginx before the node on a host, which wants a certificate at each question: it keeps neither connections nor
/// sessions.
fn proxy(world: &World, host: &Host, clients: &Authority, folder: &Path) -> Process {
    let server = format!(
        "ssl_client_certificate {}; ssl_verify_client on; ssl_session_cache off; ssl_session_tickets off; keepalive_timeout 0;",
        clients.file().display()
    );
    nginx(world, (host, host), folder, "", &server)
}
