//! What stands between an edge and a node: a proxy that repeats what it heard before.

use std::path::Path;

use super::{Truth, World, until};
use crate::support::{
    netns::Host,
    on_hosts::{EdgeOn, Verdict, origin},
    process::Process,
    programs::find,
};

/// The port of the proxy on its host.
pub(super) const PROXY_PORT: u16 = 8443;
/// Revocations, each of which comes beside messages of before.
const REVOCATIONS: usize = 12;

/// An nginx on a host, before a node that may be on another one; `http` and `server` are further directives. Its files
/// are in a folder.
pub(super) fn nginx(world: &World, (host, node): (&Host, &Host), folder: &Path, http: &str, server: &str) -> Process {
    let issued = world.authority.server(&[&host.address], 4000, &folder.join("proxy"));
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {}/{name};", folder.display())).join("\n");
    let config = format!(
        "user root; daemon off; worker_processes 1; error_log stderr; pid {folder}/nginx.pid; events {{}}\n\
         http {{ access_log off; {temporary}\n{http}\n\
         server {{ listen {address}:{PROXY_PORT} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};\n{server}\n\
         location / {{ proxy_ssl_protocols TLSv1.3; proxy_pass {node}; }} }} }}\n",
        folder = folder.display(),
        address = host.address,
        certificate = issued.certificate.display(),
        key = issued.key.display(),
        node = origin(node),
    );
    std::fs::write(folder.join("nginx.conf"), config).expect("written");
    let mut nginx = std::process::Command::new(find("nginx"));
    nginx.arg("-e").arg("stderr").arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    let (nginx, log) = (host.on(&nginx), folder.join("log"));
    let process = Process::start(nginx.get_program().as_ref(), |command| _ = command.args(nginx.get_args()), &log);
    until("the proxy listens", || {
        host.inside(|| std::net::TcpStream::connect(format!("{}:{PROXY_PORT}", host.address))).is_ok()
    });
    process
}

/// The proxy answers every question with what it heard last, for a second, whatever place it asks for: the edge gets
/// messages twice, and older ones behind newer ones from the node itself.
#[test]
fn repeated_and_older_messages_set_no_edge_back() {
    let world = World::new("4s");
    let [here, between, away] = [(); 3].map(|()| world.network.host());
    let node = world.node(&here);
    let folder = tempfile::tempdir().expect("a folder");
    let (place, repeated) = (folder.path().display(), folder.path().join("repeated"));
    let http = format!(
        "proxy_cache_path {place}/cache keys_zone=feed:1m use_temp_path=off; log_format cache $upstream_cache_status;"
    );
    let server = format!(
        "location = /v1/revocations {{ access_log {repeated} cache; proxy_ssl_protocols TLSv1.3; proxy_pass {node};\n\
         proxy_ignore_headers Cache-Control Expires Vary X-Accel-Expires X-Accel-Buffering;\n\
         proxy_cache feed; proxy_cache_key feed; proxy_cache_valid 200 1s; }}",
        repeated = repeated.display(),
        node = origin(&here),
    );
    let _proxy = nginx(&world, (&between, &here), folder.path(), &http, &server);
    let sources = [format!("https://{}:{PROXY_PORT}", between.address), origin(&here)];
    let files = EdgeOn::following(&world.deployment, &world.authority, &away, &[&sources[0], &sources[1]]);
    let edge = files.start();
    let mut truth = Truth::new(&node);
    until("the edge knows the first revocation", || truth.is_known(|key| edge.verdict(key)));
    for known in 1..=REVOCATIONS {
        truth.revoke_at(&node);
        until("the edge knows the next one", || {
            assert!(truth.is_kept(known, |key| edge.verdict(key)), "it forgets nothing");
            truth.is_known(|key| edge.verdict(key))
        });
    }
    let repeats = || std::fs::read_to_string(&repeated).unwrap_or_default().matches("HIT").count();
    until("the proxy has repeated a message", || {
        assert!(truth.is_kept(REVOCATIONS + 1, |key| edge.verdict(key)), "it forgets nothing");
        repeats() > 0
    });
    assert!(truth.is_known(|key| edge.verdict(key)) && edge.verdict(&truth.good) == Verdict::Accepted);
    assert_eq!(away.inside(|| edge.server.metric("bulla_follow_diverged_total")), 0, "it never began again");
}
