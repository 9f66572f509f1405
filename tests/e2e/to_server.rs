//! Commands that ask a server: by which way, with which key, and what they say when it was the wrong one.

use std::{io::ErrorKind, net::TcpListener};

use crate::support::{
    command::{Ran, bulla, finish},
    deployment::{APP, Deployment},
    server::Server,
};

fn ask(deployment: &Deployment, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Ran {
    let mut command = bulla(deployment.path());
    command.args(arguments).env("BULLA_ADMIN_KEY_FILE", "admin.key").envs(environment.iter().copied());
    finish(&mut command, input)
}

fn with_key() -> (Deployment, Server) {
    let deployment = Deployment::new();
    deployment.secret_file("admin.key", &format!("{}\n", deployment.admin_key));
    let server = Server::start(&deployment);
    (deployment, server)
}

#[test]
fn no_proxy_of_the_environment_is_asked() {
    let (deployment, server) = with_key();
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
    proxy.set_nonblocking(true).expect("set");
    let url = format!("http://{}", proxy.local_addr().expect("its address"));
    let names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let environment: Vec<(&str, &str)> = names.iter().map(|name| (*name, url.as_str())).collect();
    let (admin, data) = (format!("http://{}", server.admin.address), format!("http://{}", server.data.address));
    let key = deployment.issue_text("live", &[]);
    ask(&deployment, &["keys", "list", "--server", &admin], &environment, "").ok();
    ask(&deployment, &["verify", "-", "--server", &data], &environment, &key).ok();
    // Where one is chosen http:// is asked directly all the same.
    ask(&deployment, &["keys", "list", "--server", &admin, "--proxy", &url], &environment, "").ok();
    let nobody = ["keys", "list", "--server", "https://127.0.0.1:9"];
    assert_eq!(ask(&deployment, &nobody, &environment, "").code, 2);
    let nobody_asked = |proxy: &TcpListener| proxy.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    assert!(nobody_asked(&proxy), "the proxy was asked");
    // By choice, for https:// alone.
    proxy.set_nonblocking(false).expect("set");
    let asked = std::thread::spawn(move || {
        use std::io::Read;
        let (mut stream, _) = proxy.accept().expect("the question");
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("its head") > 0 {
            head.push(byte[0]);
        }
        String::from_utf8_lossy(&head).into_owned()
    });
    assert_eq!(ask(&deployment, &nobody, &[("BULLA_PROXY", &url)], "").code, 2);
    let asked = asked.join().expect("the question");
    assert!(asked.starts_with("CONNECT 127.0.0.1:9 ") && !asked.contains("bulla_"), "{asked}");
}

#[test]
fn a_server_on_a_unix_socket_is_asked() {
    let deployment = Deployment::new();
    deployment.secret_file("admin.key", &deployment.admin_key);
    deployment.configure("listen = \"127.0.0.1:8182\"", "listen = \"unix:admin.sock\"");
    let mut server = bulla(deployment.path())
        .args(["serve", "--data-listen", "unix:data.sock"])
        .env("BULLA_METRICS__LISTEN", "")
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let listens = |name: &str| std::os::unix::net::UnixStream::connect(deployment.file(name)).is_ok();
    while !(listens("admin.sock") && listens("data.sock")) {
        assert!(std::time::Instant::now() < deadline, "it does not serve");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let issue = ["issue", "--realm", "live", "--app", APP, "--json", "--server", "unix:admin.sock"];
    let issued = ask(&deployment, &issue, &[], "").ok().json();
    let key = issued["api_key"].as_str().expect("a key");
    let verified = ask(&deployment, &["verify", "-", "--server", "unix:data.sock"], &[], key);
    assert_eq!(verified.ok().out, deployment.run_with(&["verify", "-"], key).ok().out, "the same as without");
    let shown = ask(&deployment, &["keyring", "show", "--server", "unix:admin.sock"], &[], "");
    assert_eq!(shown.ok().out, deployment.run(&["keyring", "show"]).ok().out, "the same as without");
    let id = issued["api_key_id"].as_str().expect("an id");
    ask(&deployment, &["revoke", id, "--server", "unix:admin.sock"], &[], "").ok();
    assert_eq!(ask(&deployment, &["verify", "-", "--server", "unix:data.sock"], &[], key).code, 1);
    let nobody = ask(&deployment, &["keyring", "show", "--server", "unix:nowhere.sock"], &[], "");
    assert!(nobody.code == 2 && nobody.err.contains("unix:nowhere.sock"), "{}", nobody.err);
    server.kill().expect("ended");
    server.wait().expect("gone");
}

#[test]
fn a_server_prints_what_the_command_prints_without_one() {
    let (deployment, server) = with_key();
    let admin = format!("http://{}", server.admin.address);
    let id = deployment.issue_text("live", &["--ttl", "90d", "--scope", "a", "--meta", "k=v"])[..27].to_owned();
    let other = deployment.issue_text("test", &["--secret"])[..27].to_owned();
    deployment.run(&["keys", "suspend", &other, "--reason", "a look"]).ok();
    let gone = deployment.issue_text("live", &[])[..27].to_owned();
    deployment.run(&["revoke", &gone]).ok();
    for command in [
        vec!["keyring", "show"],
        vec!["keys", "list"],
        vec!["keys", "list", "--realm", "test"],
        vec!["keys", "list", "--limit", "1"],
        vec!["keys", "show", &id],
        vec!["keys", "show", &other],
        vec!["keys", "suspend", &other],
        vec!["audit"],
        vec!["audit", "--limit", "2"],
        vec!["revoke", &gone],
    ] {
        for more in [&[][..], &["--json"]] {
            let command = [&command[..], more].concat();
            let here = deployment.run(&command);
            let there = ask(&deployment, &[&command[..], &["--server", &admin]].concat(), &[], "");
            assert_eq!(here.ok().out, there.ok().out, "{command:?}");
        }
    }
    let data = format!("http://{}", server.data.address);
    let key = deployment.issue_text("live", &["--scope", "a"]);
    for (more, code, output) in [
        (&[][..], 0, "accepted\n"),
        (&["--json"], 0, "{\"active\":true"),
        (&["--scope", "b"], 1, "rejected  scope ("),
        (&["--scope", "a"], 0, "accepted\n"),
    ] {
        let here = deployment.run_with(&[&["verify", "-"], more].concat(), &key);
        let there = ask(&deployment, &[&["verify", "-", "--server", &data], more].concat(), &[], &key);
        assert_eq!((here.code, &here.out), (there.code, &there.out), "{more:?}");
        assert!(here.code == code && here.out.starts_with(output), "{more:?}: {}", here.out);
    }
}

#[test]
fn the_key_file_is_looked_at_before_it_is_sent() {
    let (deployment, server) = with_key();
    let admin = format!("http://{}", server.admin.address);
    let list = ["keys", "list", "--server", &admin];
    let key = &deployment.admin_key;
    for good in [
        key.clone(),
        format!("\u{feff}{key}\r\n"),
        format!("{{\n  \"api_key\": \"{key}\",\n  \"realm\": \"bulla\"\n}}\n"),
        format!("{{\"config\":\"x\",\"admin_api_key\":\"{key}\"}}"),
    ] {
        deployment.secret_file("admin.key", &good);
        ask(&deployment, &list, &[], "").ok();
    }
    let other = deployment.issue_text("live", &[]);
    for (bad, told) in [
        (String::new(), "holds no API key"),
        (format!("{key} {key}"), "holds no API key"),
        (key[..key.len() - 1].to_owned(), "holds no API key"),
        ("{\"api_key\": 7}".to_owned(), "holds no API key"),
        (other, "of the realm `live`"),
    ] {
        deployment.secret_file("admin.key", &bad);
        let refused = ask(&deployment, &list, &[], "");
        assert!(refused.code == 2 && refused.err.contains(told), "{}", refused.err);
    }
    let file = deployment.secret_file("admin.key", key);
    for (mode, read) in [(0o644, false), (0o640, false), (0o400, true)] {
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("its mode");
        let ran = ask(&deployment, &list, &[], "");
        assert_eq!((ran.code == 0, ran.err.contains("chmod 600")), (read, !read), "{mode:o}: {}", ran.err);
    }
}

#[test]
fn errors_say_what_was_meant() {
    let (deployment, server) = with_key();
    let (admin, data) = (format!("http://{}", server.admin.address), format!("http://{}", server.data.address));
    let key = deployment.issue_text("test", &[]);
    let bound = deployment.issue_text("live", &["--cidr", "10.0.0.0/8", "--audience", "shop"]);
    std::fs::write(deployment.file("key.txt"), &key).expect("written");
    let issue = ["issue", "--realm", "live", "--app", APP];
    for (arguments, input, code, told) in [
        (vec!["keys", "list", "--server", &server.admin.address], "", 64, "http://HOST:PORT"),
        (vec!["keys", "list", "--server", "http://user:pw@127.0.0.1:9"], "", 64, "http://HOST:PORT"),
        (vec!["verify", "-", "--server", &admin], &*key, 2, "is that the admin plane?"),
        ([&issue[..], &["--server", &data]].concat(), "", 2, "is that the data plane?"),
        (vec!["verify", "-"], &key, 1, "accepted here: `live` (verify.default_realms). `--realm test`"),
        (vec!["verify", "key.txt"], "", 1, "bulla verify - < FILE"),
        (vec!["verify", "--audience", "shop", "-"], &bound, 1, "--ip names the client's"),
        (vec!["verify", "--ip", "10.0.0.1", "-"], &bound, 1, "--audience names the caller's"),
        ([&issue[..], &["--ttl", "soon"]].concat(), "", 2, "--ttl: it must be a length of time"),
        ([&issue[..], &["--ttl", "soon", "--server", &admin]].concat(), "", 2, "--ttl: it must be a length of time"),
        (vec!["issue", "--realm", "live", "--app", "me"], "", 64, "uuidgen"),
        (vec!["keyring", "limit", "1", "--verify-until", "90d"], "", 64, "RFC 3339"),
        (vec!["revoke", "--app", APP, "--issued-before", "2026-11-27"], "", 64, "RFC 3339"),
    ] {
        let ran = ask(&deployment, &arguments, &[], input);
        assert_eq!(ran.code, code, "{arguments:?}: {} {}", ran.out, ran.err);
        assert!(ran.err.contains(told), "{arguments:?}: {}", ran.err);
    }
    deployment.configure("[realms.live]", "[realms.live]\nscopes = [\"orders.*\", \"read\"]\nmax_ttl = \"365d\"");
    let scope = deployment.run(&[&issue[..], &["--ttl", "1d", "--scope", "write"]].concat());
    assert!(scope.err.contains("allows `orders.*`, `read`, and not `write`"), "{}", scope.err);
    let longer = deployment.run(&[&issue[..], &["--ttl", "366d"]].concat());
    assert!(longer.err.contains("live 365d at most"), "{}", longer.err);
    let on_file = Deployment::on_file();
    std::fs::write(on_file.file("bulla.db"), "no database, but long enough to be read as the head of one".repeat(9))
        .expect("written");
    let broken = on_file.run(&["keys", "list"]);
    assert!(broken.code == 2 && broken.err.contains("bulla.db") && broken.err.contains("backup"), "{}", broken.err);
}

#[test]
fn an_id_may_be_a_whole_key_wherever_one_is_wanted() {
    let (deployment, _server) = with_key();
    for (command, more) in
        [("show", &[][..]), ("suspend", &[]), ("resume", &[]), ("reroll-secret", &["--grace", "0s"]), ("reroll", &[])]
    {
        let key = deployment.issue_text("live", &["--secret"]);
        if command == "resume" {
            deployment.run(&["keys", "suspend", &key[..27]]).ok();
        }
        let by_key = deployment.run_with(&[&["keys", command, "-", "--json"], more].concat(), &format!("{key}\n"));
        let id = by_key.ok().json();
        let named = if command == "reroll" { &id["replaces"] } else { &id["api_key_id"] };
        assert_eq!(*named, key[..27], "{command}");
        let cut = format!("{}{}", &key[..key.len() - 1], if key.ends_with('0') { "1" } else { "0" });
        let refused = deployment.run(&["keys", command, &cut]);
        assert!(refused.code == 64 && refused.err.contains("neither an API-key id"), "{command}: {}", refused.err);
        assert!(!refused.err.contains(&key[27..50]), "{command}: {}", refused.err);
    }
}
