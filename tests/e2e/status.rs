//! `bulla status`, the health check of a container: what it asks, and its exit codes.

use std::net::TcpListener;

use crate::support::{
    authority::Authority,
    command::{Ran, run},
    deployment::Deployment,
    server::Server,
};

fn status(deployment: &Deployment, listen: &str, more: &[&str]) -> Ran {
    deployment.run(&[&["status", "--data-listen", listen], more].concat())
}

/// The same of a service that is ready: one that is busy for two seconds is asked again.
fn ready(deployment: &Deployment, listen: &str, more: &[&str]) -> Ran {
    let asked = || status(deployment, listen, more);
    (0..20).map(|_| asked()).find(|ran| ran.code == 0).unwrap_or_else(asked)
}

#[test]
fn it_tells_whether_the_service_is_ready_and_what_is_degraded() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let listen = server.data.address.clone();
    assert_eq!(ready(&deployment, &listen, &[]).ok().out, format!("ready     {listen}\n"));
    assert_eq!(ready(&deployment, &listen, &["--alive"]).ok().out, format!("alive     {listen}\n"));
    assert_eq!(ready(&deployment, &listen, &["--json"]).ok().json()["ready"], true);
    std::fs::write(deployment.file("keyring.toml"), "no keyring").expect("written");
    server.until("a failed reload", |_| status(&deployment, &listen, &[]).out.contains("degraded  `keyring` since "));
    assert_eq!(ready(&deployment, &listen, &[]).code, 0, "keys are verified all the same");
    server.stop();
    let nobody = status(&deployment, &listen, &[]);
    assert_eq!((nobody.code, nobody.out), (1, format!("not ready no service answers at {listen}\n")));
    assert_eq!(status(&deployment, &listen, &["--alive", "--json"]).code, 1);
}

#[test]
fn one_that_verifies_no_key_is_alive_and_not_ready() {
    let deployment = Deployment::on_file();
    deployment.configure("# max_staleness = \"10m\"", "max_staleness = \"1s\"");
    let server = Server::start(&deployment);
    let listen = server.data.address.clone();
    std::fs::rename(deployment.file("bulla.db"), deployment.file("away.db")).expect("renamed");
    std::fs::write(deployment.file("bulla.db"), "").expect("another store");
    server.until("not ready", |_| {
        let told = status(&deployment, &listen, &[]);
        told.code == 1 && told.out.starts_with("not ready ") && told.out.contains("verifies no key")
    });
    assert_eq!(status(&deployment, &listen, &["--json"]).json()["ready"], false);
    ready(&deployment, &listen, &["--alive"]).ok();
}

#[test]
fn it_asks_where_the_service_listens_over_tls_and_unix_sockets() {
    let (authority, deployment) = (Authority::new("servers"), Deployment::new());
    authority.serve(&deployment);
    let path = deployment.file("bulla.toml");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    let tls = "[data.tls]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\n";
    std::fs::write(&path, format!("{text}\n{tls}")).expect("written");
    let server = Server::start_on("0.0.0.0:0", &deployment, &[]);
    ready(&deployment, &server.data.address, &[]).ok();
    drop(server);
    let listen = format!("unix:{}", deployment.file("data.sock").display());
    let _server = Server::start_on(&listen, &deployment, &[]);
    ready(&deployment, &listen, &[]).ok();
    std::fs::write(&path, text).expect("written");
    assert_eq!(status(&deployment, &listen, &[]).code, 1, "plain text to TLS");
}

#[test]
fn it_says_what_else_is_wrong() {
    let deployment = Deployment::new();
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = stranger.local_addr().expect("its address").to_string();
    std::thread::spawn(move || {
        use std::io::Write;
        for mut stream in stranger.incoming().flatten() {
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
        }
    });
    let told = status(&deployment, &listen, &[]);
    assert_eq!((told.code, told.out), (1, format!("not ready another program than bulla answers at {listen}\n")));
    let nowhere = tempfile::tempdir().expect("a folder");
    assert_eq!(run(nowhere.path(), &["status"]).code, 2, "no configuration");
}
