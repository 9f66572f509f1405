//! What hangs (a key source, a lock, the store) holds up no compromise, shows in `/readyz` and metrics, and keeps no
//! process from ending.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    command::{Ran, bulla, finish},
    deployment::{APP, Deployment},
    server::Server,
};

/// A program as key source that can be made to hang, with a child that shows whether it runs.
struct Program {
    /// The source that it is.
    uri: String,
    path: std::path::PathBuf,
    key: String,
    mark: String,
}

impl Program {
    /// One that computes with the key in `key`, and is trusted.
    fn new(deployment: &Deployment, key: &str, seconds: u32) -> Self {
        let path = deployment.file(&format!("{key}.sh"));
        let uri = format!("exec:{}", path.display());
        deployment.configure("trusted_sources = [", &format!("trusted_sources = [\"{uri}\", "));
        let program = Program { uri, path, key: key.to_owned(), mark: format!("{seconds}.{:07}", std::process::id()) };
        program.works();
        program
    }

    fn works(&self) {
        self.write(&format!(
            "(base64 -d; printf '\\001') | openssl dgst -sha256 -mac HMAC -macopt hexkey:$(base64 -d < \"$(dirname \"$0\")/{}\" | od -An -v -tx1 | tr -d ' \\n') -binary | base64",
            self.key
        ));
    }

    /// From now on it starts a program that does not end, and waits for it.
    fn hangs(&self) {
        self.write(&format!("sleep {} | cat", self.mark));
    }

    /// It writes the file `asked`, and answers once the file `go` is there.
    fn answers_once_told(&self, deployment: &Deployment) {
        let [asked, go] = ["asked", "go"].map(|name| deployment.file(name).display().to_string());
        let waits = format!("while [ ! -e {go} ]; do sleep 0.05; done");
        let works = std::fs::read_to_string(&self.path).expect("the program").replace("#!/bin/sh\n", "");
        self.write(&format!("touch {asked}\n{waits}\n{works}"));
    }

    fn write(&self, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        // In one step: the service may be running it.
        let new = self.path.with_extension("new");
        std::fs::write(&new, format!("#!/bin/sh\n{text}\n")).expect("written");
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o700)).expect("its mode");
        std::fs::rename(new, &self.path).expect("in place");
    }

    fn runs(&self) -> bool {
        Command::new("pgrep").args(["-f", &self.mark]).output().expect("pgrep runs").status.success()
    }

    /// Ends a command that asks it, and its child: the command is left no time for that.
    fn end(&self, mut command: Child) {
        command.kill().expect("it runs");
        command.wait().expect("reaped");
        Command::new("pkill").args(["-f", &self.mark]).status().expect("pkill runs");
    }

    fn until_it_is(&self, running: bool) {
        until("the program's child", || self.runs() == running);
    }
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_active(server: &Server, key: &str) -> bool {
    server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"] == true
}

fn make_pipe(deployment: &Deployment, name: &str) {
    let _none = std::fs::remove_file(deployment.file(name));
    let made = Command::new("mkfifo").args(["-m", "600"]).arg(deployment.file(name)).status();
    assert!(made.expect("mkfifo runs").success());
}

/// What is degraded, as `what: detail`.
fn degraded(server: &Server) -> Vec<String> {
    let ready = server.data.get("/readyz").json();
    let all = ready["degraded"].as_array().expect("a list").iter();
    all.map(|one| format!("{}: {}", one["what"].as_str().unwrap(), one["detail"].as_str().unwrap())).collect()
}

/// A command that goes on while the test does.
fn start(deployment: &Deployment, arguments: &[&str]) -> Child {
    let mut command = bulla(deployment.path());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it starts")
}

#[test]
fn a_signal_that_ends_a_command_ends_its_programs() {
    use std::os::unix::process::ExitStatusExt;
    let deployment = Deployment::new();
    deployment.new_master(2);
    let program = Program::new(&deployment, "master-2.key", 744);
    program.hangs();
    for (name, signal) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        // A shell in the background has its programs ignore some of these.
        let plain = bulla(deployment.path());
        let set = plain.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let mut command = Command::new("env")
            .arg("--default-signal=INT,TERM,HUP")
            .arg(plain.get_program())
            .args(["keyring", "stage", "--source", &program.uri])
            .current_dir(deployment.path())
            .envs(set)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        program.until_it_is(true);
        let sent = Command::new("kill").args([format!("-{name}"), command.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        assert_eq!(command.wait().expect("it ends").signal(), Some(signal), "{name}");
        program.until_it_is(false);
    }
}

#[test]
fn a_compromise_is_in_force_while_key_sources_hang_and_sigterm_ends_the_service_and_its_programs() {
    let deployment = Deployment::new();
    let programs = [2, 3].map(|number| {
        deployment.new_master(number);
        let program = Program::new(&deployment, &format!("master-{number}.key"), 700 + number);
        deployment.keyring(&["stage", "--source", &program.uri]);
        program
    });
    let old = deployment.issue_text("live", &[]);
    deployment.keyring(&["stage", "--source", &deployment.new_master(4)]);
    deployment.keyring(&["activate", "4"]);
    let admin_key = deployment.issue_text("bulla", &["--scope", "admin"]);
    let server = Server::start_with(&deployment, &[("BULLA_SERVER__SHUTDOWN_GRACE", "20s")]);
    let admin = server.admin.bearer(&admin_key);
    assert!(is_active(&server, &old));
    programs.iter().for_each(Program::hangs);
    server.signal("HUP");
    programs.iter().for_each(|program| program.until_it_is(true));

    deployment.keyring(&["compromise", "1"]);
    server.within("the compromise", |server| !is_active(server, &old));
    assert!(programs.iter().all(Program::runs), "it did not wait for the sources");
    let issued = admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})).json();
    assert!(is_active(&server, issued["api_key"].as_str().expect("a key")), "it issues all the while: {issued}");
    let answered = admin.post("/v1/keyring/versions/2/compromise", &json!({}));
    assert_eq!((answered.status, answered.json()["warning"].is_null()), (200, true), "{}", answered.body);
    assert!(programs.iter().all(Program::runs), "nor did the one over HTTP");

    server.until("the word of what hangs", |server| {
        degraded(server).iter().any(|one| one.starts_with("keyring: asking the key sources has taken"))
    });
    assert_eq!(server.metric("bulla_keyring_refresh_failing"), 1);
    assert!(server.metric("bulla_keyring_refresh_running_seconds") > 0);
    server.stop();
    programs.iter().for_each(|program| program.until_it_is(false));
}

#[test]
fn sigterm_ends_a_service_that_starts_and_its_programs() {
    let deployment = Deployment::new();
    deployment.new_master(2);
    let program = Program::new(&deployment, "master-2.key", 745);
    deployment.keyring(&["stage", "--source", &program.uri]);
    let serve = ["serve", "--data-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let ends = |mut service: Child| {
        let sent = Command::new("kill").args(["-TERM", &service.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        let mut log = String::new();
        service.stderr.take().expect("its log").read_to_string(&mut log).expect("its log");
        assert_eq!(service.wait().expect("it ends").code(), Some(0), "{log}");
        assert!(log.contains("stopped before it served"), "{log}");
    };
    program.hangs();
    let service = start(&deployment, &serve);
    program.until_it_is(true);
    ends(service);
    program.until_it_is(false);
    // It is at the wait between two questions.
    program.write(&format!("touch '{}'; exit 1", deployment.file("asked").display()));
    let service = start(&deployment, &[&serve[..], &["--wait-for-source"]].concat());
    until("the question", || deployment.file("asked").exists());
    ends(service);
}

#[test]
fn what_changes_while_a_start_waits_for_a_source_is_in_force() {
    let deployment = Deployment::new();
    let old = deployment.issue_text("live", &[]);
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    deployment.keyring(&["activate", "2"]);
    let good = deployment.issue_text("test", &[]);
    deployment.new_master(3);
    let program = Program::new(&deployment, "master-3.key", 755);
    deployment.keyring(&["stage", "--source", &program.uri]);
    program.answers_once_told(&deployment);
    let server = std::thread::scope(|scope| {
        scope.spawn(|| {
            until("the question", || deployment.file("asked").exists());
            deployment.keyring(&["compromise", "1"]);
            deployment.configure("default_realms = [\"live\"]", "default_realms = [\"live\", \"test\"]");
            std::fs::write(deployment.file("go"), "").expect("written");
        });
        Server::start(&deployment)
    });
    server.within("the compromise", |server| !is_active(server, &old));
    server.within("the configuration", |server| is_active(server, &good));
}

#[test]
fn a_compromise_over_http_needs_no_answer_of_the_mac_key_s_source() {
    let deployment = Deployment::new();
    let program = Program::new(&deployment, "keyring-mac.key", 711);
    let named = format!("mac_source = \"{}\"", program.uri);
    deployment.configure("mac_source = \"file:keyring-mac.key\"", &named);
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    let server = Server::start(&deployment);
    let old = deployment.issue_text("live", &[]);
    let admin = server.admin.bearer(&deployment.admin_key);
    program.hangs();
    let compromised = admin.post("/v1/keyring/versions/1/compromise", &json!({"successor": 2}));
    assert_eq!(compromised.status, 200, "{}", compromised.body);
    assert!(!is_active(&server, &old));
    assert!(!program.runs(), "it was not even asked");
    // Another service sees the file, and has the key at hand as well.
    let command = start(&deployment, &["keyring", "show"]);
    program.until_it_is(true);
    program.end(command);
}

#[test]
fn staging_holds_no_lock_while_its_source_hangs() {
    let deployment = Deployment::new();
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    deployment.new_master(3);
    let program = Program::new(&deployment, "master-3.key", 722);
    program.hangs();
    let server = Server::start(&deployment);
    let staging = start(&deployment, &["keyring", "stage", "--source", &program.uri]);
    program.until_it_is(true);
    let moved = deployment.keyring(&["activate", "2"]);
    assert_eq!(moved["version"], 2);
    let compromised = server.admin.post("/v1/keyring/versions/1/compromise", &json!({}));
    assert_eq!(compromised.status, 200, "{}", compromised.body);
    assert!(program.runs(), "the source was still asked");
    program.end(staging);
}

#[test]
fn a_version_that_was_staged_meanwhile_is_not_staged_twice() {
    let deployment = Deployment::new();
    deployment.new_master(2);
    let program = Program::new(&deployment, "master-2.key", 733);
    // It answers once the other change is made.
    program.answers_once_told(&deployment);
    let staging = start(&deployment, &["keyring", "stage", "--source", &program.uri, "--json"]);
    until("the question", || deployment.file("asked").exists());
    assert_eq!(deployment.keyring(&["stage", "--source", &deployment.new_master(3)])["version"], 2);
    std::fs::write(deployment.file("go"), "").expect("written");
    let staged = staging.wait_with_output().expect("it ends");
    assert!(staged.status.success(), "{}", String::from_utf8_lossy(&staged.stderr));
    let staged: serde_json::Value = serde_json::from_slice(&staged.stdout).expect("JSON");
    assert_eq!((&staged["version"], &staged["serial"]), (&json!(3), &json!(4)), "worked out anew");
    deployment.keyring(&["check"]);
}

#[test]
fn a_lock_that_another_process_holds_is_named() {
    let deployment = Deployment::new();
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    let mut holder = Command::new("flock")
        .arg(deployment.file("keyring.lock"))
        .args(["sh", "-c", "echo held; exec sleep 600"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("flock runs");
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.take().expect("its output")), &mut line)
        .expect("the lock");
    let refused = deployment.run(&["keyring", "compromise", "1", "--yes"]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.err.contains("another process has held") && refused.err.contains("keyring.lock"),
        "{}",
        refused.err
    );
    Command::new("pkill").args(["-P", &holder.id().to_string()]).status().expect("pkill runs");
    holder.kill().expect("ended");
    holder.wait().expect("reaped");
    deployment.keyring(&["compromise", "1"]);
}

#[test]
fn a_named_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let deployment = Deployment::new();
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    let server = Server::start(&deployment);
    let old = deployment.issue_text("live", &[]);
    make_pipe(&deployment, "master-1.key");
    let doctor = deployment.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("master-1.key is not a file"), "{}", doctor.out);
    server.signal("HUP");
    server.until("the word of it", |server| degraded(server).iter().any(|one| one.contains("is not a file")));
    make_pipe(&deployment, "master-3.key");
    let staged = server.admin.post("/v1/keyring/versions", &json!({"sources": ["file:master-3.key"]}));
    assert_eq!((staged.status, staged.problem().as_str()), (400, "bad-request"), "{}", staged.body);
    deployment.keyring(&["compromise", "1", "--successor", "2"]);
    server.within("the compromise", |server| !is_active(server, &old));
    make_pipe(&deployment, "keyring.toml");
    server.until("the word of it", |server| degraded(server).iter().any(|one| one.contains("not a regular file")));
    let started = deployment.run(&["serve"]);
    assert!(started.code == 2 && started.err.contains("not a regular file"), "{}", started.err);
    server.stop();
}

#[test]
fn a_shell_s_pipe_may_stand_for_the_admin_key() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let url = format!("http://{}", server.admin.address);
    let script = r#"BULLA_ADMIN_KEY_FILE=<(printf '%s' "$KEY") "$BULLA" keys list --server "$URL" --json
        printf '%s' "$KEY" | BULLA_ADMIN_KEY_FILE=/dev/stdin "$BULLA" keys list --server "$URL" --json"#;
    let mut shell = Command::new("bash");
    shell.args(["-ec", script]).current_dir(deployment.path()).env("KEY", &deployment.admin_key).env("URL", url);
    let ran: Ran = finish(shell.env("BULLA", bulla(deployment.path()).get_program()), "");
    ran.ok();
    assert_eq!(ran.out.lines().count(), 2);
}

#[test]
fn a_keyring_beyond_its_bound_is_not_read() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let good = std::fs::read(deployment.file("keyring.toml")).expect("the keyring");
    let large = std::fs::File::create(deployment.file("keyring.toml")).expect("made");
    large.set_len(200 << 20).expect("large");
    server.until("the word of it", |server| degraded(server).iter().any(|one| one.contains("more than 8388608 bytes")));
    std::fs::write(deployment.file("keyring.toml"), good).expect("written");
    server.until("the recovery", |server| degraded(server).is_empty());
}

#[test]
fn sigterm_ends_the_service_in_its_grace_while_the_store_hangs() {
    let deployment = Deployment::new();
    let grace = [("BULLA_SERVER__SHUTDOWN_GRACE", "3s"), ("BULLA_LAST_USED__FLUSH_INTERVAL", "1h")];
    let server = Server::start_with(&deployment, &grace);
    assert!(is_active(&server, &deployment.issue_text("live", &[])));
    // A use that is to be written down at the end, and a writer that lets nobody else write.
    let writer = deployment.store().hold();
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("not everything ended in time"), "{log}");
    drop(writer);
}

#[test]
fn a_keyring_of_another_year_is_told_and_holds_no_rotation_up() {
    let deployment = Deployment::new();
    deployment.configure("refresh_interval = \"60s\"", "refresh_interval = \"1s\"");
    deployment.configure(
        "automatic = false\nevery = \"90d\"\nsources = []",
        "automatic = true\nevery = \"1s\"\nsources = [\"file:master-2.key\"]",
    );
    let next = deployment.new_master(2);
    // As a clock that jumped for a moment would have staged it.
    let path = deployment.file("keyring.toml");
    let sources = bulla::source::Sources::new(deployment.path());
    let mac: bulla::source::SourceUri = "file:keyring-mac.key".parse().expect("a URI");
    let text = std::fs::read_to_string(&path).expect("the keyring");
    let mut document = bulla::keyring::KeyringDocument::parse(&text, &mac, &sources).expect("a keyring");
    let source = bulla::keyring::SourceRecord { uri: next.parse().expect("a URI"), wrapped: None };
    let year_2100 = 4_102_444_800;
    document.stage(bulla::keyring::Suite::default(), vec![source], &sources, year_2100).expect("staged");
    let key = bulla::keyring::MacKey::open(&mac, &sources, document.id()).expect("the MAC key");
    std::fs::write(&path, document.render(&key).expect("a document")).expect("written");

    let refused = deployment.run(&["keyring", "activate", "2", "--require-loaded"]);
    assert!(refused.code == 2 && refused.err.contains("one of the two clocks is wrong"), "{}", refused.err);
    let server = Server::start(&deployment);
    server.until("the word of it", |server| degraded(server).iter().any(|one| one.starts_with("clock: ")));
    server.until("the rotation", |server| server.data.get("/readyz").json()["active_version"] == 2);
    server.until("and in its log", |server| server.log().contains("the keyring was changed at 2100-01-01"));
}
