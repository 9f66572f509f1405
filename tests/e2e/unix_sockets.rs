//! Unix sockets in place of ports.

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::{Duration, Instant},
};

use crate::support::{
    command::{bulla, finish},
    deployment::Deployment,
    server::Server,
    stop::StopOnDrop,
};

#[test]
fn unix_sockets_serve_like_ports() {
    let deployment = Deployment::new();
    let socket = deployment.file("data.sock");
    let listen = format!("unix:{}", socket.display());
    drop(UnixListener::bind(&socket).expect("a stale socket"));
    let mut child = bulla(deployment.path())
        .args(["serve", "--data-listen", &listen, "--admin-listen", "127.0.0.1:0"])
        .env("BULLA_METRICS__LISTEN", "")
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut stream = loop {
        match UnixStream::connect(&socket) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let stopped = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(stopped.expect("kill runs").success() && child.wait().expect("it ends").success());
    assert!(!socket.exists(), "the socket is removed");
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let deployment = Deployment::on_file();
    let before = std::fs::read(deployment.file("bulla.db")).expect("a store");
    // A port that is taken ends it even where the file did not.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let admin = taken.local_addr().expect("its number").to_string();
    let ran = deployment.run(&["serve", "--data-listen", "unix:bulla.db", "--admin-listen", &admin]);
    assert!(ran.code == 2 && ran.err.contains("cannot listen on unix:bulla.db"), "{}", ran.err);
    assert_eq!(std::fs::read(deployment.file("bulla.db")).expect("still there"), before);
}

#[test]
fn every_listener_has_a_socket_with_a_mode_of_its_own_and_both_versions_of_http() {
    let deployment = Deployment::new();
    let modes = [("data", 0o600), ("admin", 0o640), ("metrics", 0o606)];
    let mut serve = bulla(deployment.path());
    serve.arg("serve").stderr(Stdio::null());
    for (listener, mode) in modes {
        let field = |name: &str| format!("BULLA_{}__{name}", listener.to_uppercase());
        serve.env(field("LISTEN"), format!("unix:{listener}.sock")).env(field("UNIX_MODE"), format!("{mode:04o}"));
    }
    let mut serving = serve.spawn().expect("bulla starts");
    let socket = |listener: &str| deployment.file(&format!("{listener}.sock"));
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline && modes.iter().any(|(listener, _)| UnixStream::connect(socket(listener)).is_err())
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    let seen =
        modes.map(|(name, _)| (name, socket(name).metadata().map_or(0, |file| file.permissions().mode() & 0o777)));
    let spoken = ["--http1.1", "--http2-prior-knowledge"].map(|version| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_version} %{http_code}", version]);
        let ran = curl.arg("--unix-socket").arg(socket("data")).arg("http://bulla/healthz").output();
        String::from_utf8(ran.expect("curl runs").stdout).expect("text")
    });
    serving.kill().and_then(|()| serving.wait()).expect("ended");
    assert_eq!(seen, modes);
    assert_eq!(spoken, ["1.1 200", "2 200"]);
}

#[test]
fn a_unix_socket_is_never_more_open_than_its_mode() {
    let deployment = Deployment::new();
    let path = deployment.file("metrics.sock");
    for (mode, wanted) in [(None, 0o660), (Some("0600"), 0o600), (Some("0666"), 0o666)] {
        let (stop, seen) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            let _stop = StopOnDrop(&stop);
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mode = path.metadata().map_or(0, |metadata| metadata.permissions().mode() & 0o777);
                    seen.fetch_or(mode, Ordering::Relaxed);
                }
            });
            let listen = format!("unix:{}", path.display());
            let mut environment = vec![("BULLA_METRICS__LISTEN", listen.as_str())];
            environment.extend(mode.map(|mode| ("BULLA_METRICS__UNIX_MODE", mode)));
            let server = Server::start_with(&deployment, &environment);
            let mut stream = UnixStream::connect(&path).expect("a connection");
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("asked");
            let mut page = String::new();
            stream.read_to_string(&mut page).expect("an answer");
            server.until("a look", |_| seen.load(Ordering::Relaxed) & wanted == wanted);
            stop.store(true, Ordering::Relaxed);
            assert!(page.contains("bulla_build_info"), "{page}");
            server.stop();
        });
        assert_eq!(seen.into_inner(), wanted);
        assert!(!path.exists(), "a stopping service removes its socket");
    }
    let refused = finish(bulla(deployment.path()).arg("serve").env("BULLA_METRICS__UNIX_MODE", "rw"), "");
    assert!(refused.code == 2 && refused.err.contains("in octal"), "{}", refused.err);
}
