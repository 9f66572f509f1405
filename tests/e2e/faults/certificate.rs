//! A certificate that expires between an edge and a node: a proxy before the node asks for it.

use std::path::Path;

use super::{Truth, World, until};
use crate::support::{
    authority::{Authority, replace},
    netns::Host,
    on_hosts::{EdgeOn, Verdict, origin},
    process::Process,
    programs::find,
};

/// How long the edge's first certificate is good, in seconds.
const BRIEF: u64 = 20;

#[test]
fn an_edge_whose_client_certificate_expires_goes_on_and_follows_again_with_a_new_one() {
    let world = World::new("4s");
    let (here, away) = (world.network.host(), world.network.host());
    let node = world.node(&here);
    let clients = Authority::new("clients");
    let folder = tempfile::tempdir().expect("a folder");
    let _proxy = proxy(&world, &here, &clients, folder.path());
    let brief = clients.client_for("edge.example", BRIEF);
    let source = format!("https://{}:8443", here.address);
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
    let issued = world.authority.server(&[&host.address], 4000, &folder.join("proxy"));
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {}/{name};", folder.display())).join("\n");
    let config = format!(
        "user root; daemon off; worker_processes 1; error_log stderr; pid {folder}/nginx.pid; events {{}}\n\
         http {{ access_log off; {temporary}\n\
         server {{ listen {address}:8443 ssl; ssl_certificate {certificate}; ssl_certificate_key {key};\n\
         ssl_client_certificate {clients}; ssl_verify_client on; ssl_session_cache off; ssl_session_tickets off;\n\
         keepalive_timeout 0; location / {{ proxy_ssl_protocols TLSv1.3; proxy_pass {node}; }} }} }}\n",
        folder = folder.display(),
        address = host.address,
        certificate = issued.certificate.display(),
        key = issued.key.display(),
        clients = clients.file().display(),
        node = origin(host),
    );
    std::fs::write(folder.join("nginx.conf"), config).expect("written");
    let mut nginx = std::process::Command::new(find("nginx"));
    nginx.arg("-e").arg("stderr").arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    let (nginx, log) = (host.on(&nginx), folder.join("log"));
    let process = Process::start(nginx.get_program().as_ref(), |command| _ = command.args(nginx.get_args()), &log);
    until("the proxy listens", || {
        host.inside(|| std::net::TcpStream::connect(format!("{}:8443", host.address))).is_ok()
    });
    process
}
