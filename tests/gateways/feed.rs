//! The revocation feed behind proxies that know nothing of it: each is told where bulla is, and keeps its default timeouts.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    deployment::Deployment,
    http::{Events, Http},
    process::{self, Process},
    programs,
    server::Server,
};

/// A proxy in front of a server whose messages count for so long that only comments keep a stream alive.
struct Proxied {
    deployment: Deployment,
    server: Server,
    feed: Http,
    _proxy: Process,
    _folder: TempDir,
}

impl Proxied {
    /// Starts `program` with a configuration in which `LISTEN` and `BULLA` are ports and `HERE` is its folder.
    fn start(program: &str, configuration: &str, prepare: fn(&mut Command, &Path)) -> Self {
        let deployment = Deployment::new();
        let server = Server::start_with(&deployment, &[("BULLA_FEED__VALID_FOR", "10m")]);
        let folder = tempfile::tempdir().expect("a folder");
        let (port, bulla) = (process::free_port(), server.data.address.rsplit(':').next().expect("a port"));
        let text = configuration.replace("LISTEN", &port.to_string()).replace("BULLA", bulla);
        let file = folder.path().join("configuration");
        fs::write(&file, text.replace("HERE", &folder.path().display().to_string())).expect("written");
        let log = folder.path().join("log");
        let proxy = Process::start(&programs::find(program), |command| prepare(command, &file), &log);
        process::wait_until(program, &log, || process::listens(port));
        let key = deployment.issue_text("bulla", &["--scope", "feed"]);
        let feed = Http::new(&format!("127.0.0.1:{port}")).bearer(&key);
        Proxied { deployment, server, feed, _proxy: proxy, _folder: folder }
    }

    /// A new key is revoked, and the stream says so; the place in the log after it.
    fn tells_of_a_revocation(&self, stream: &mut Events) -> u64 {
        let key = self.deployment.issue("live", &[]);
        let id = key["api_key_id"].as_str().expect("an id");
        assert_eq!(self.server.admin.request("DELETE", &format!("/v1/api-keys/{id}"), &[], "").status, 200);
        let message = stream.message();
        assert!(message.contains(&format!("\"revoke\":\"{id}\"")), "{message}");
        head(&message)["seq"].as_u64().expect("a number")
    }

    /// The proxy closes a connection to bulla after `timeout` seconds of silence.
    fn passes_the_feed_on(&self, timeout: usize) {
        // Neither the head nor the first message waits for more: a reader gives up after a minute.
        let mut stream = self.feed.stream("/v1/revocations");
        assert_eq!(head(&stream.message())["bulla"], "feed/1");
        let end = self.tells_of_a_revocation(&mut stream);
        let feed = self.feed.clone();
        let waiting = std::thread::spawn(move || feed.get(&format!("/v1/revocations?after={end}&wait=10m")));
        // A comment comes every ten seconds.
        (0..=timeout / 10).for_each(|_| stream.comment());
        let waited = waiting.join().expect("an answer");
        assert_eq!((waited.status, &head(&waited.body)["seq"]), (200, &end.into()), "{}", waited.body);
        self.tells_of_a_revocation(&mut stream);
    }
}

fn head(message: &str) -> Value {
    let line = message.lines().next().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {message}"))
}

#[test]
fn nginx() {
    let configuration = "pid HERE/pid;\nerror_log stderr;\nevents {}\nhttp {\n\
        access_log off;\nclient_body_temp_path HERE/body;\nproxy_temp_path HERE/proxy;\nfastcgi_temp_path HERE/fastcgi;\n\
        uwsgi_temp_path HERE/uwsgi;\nscgi_temp_path HERE/scgi;\n\
        server {\nlisten 127.0.0.1:LISTEN;\nlocation / { proxy_pass http://127.0.0.1:BULLA; }\n}\n}\n";
    let proxied = Proxied::start("nginx", configuration, |command, file| {
        command.arg("-c").arg(file).args(["-g", "daemon off; master_process off;"]);
    });
    proxied.passes_the_feed_on(60);
}

#[test]
fn haproxy() {
    // It has no timeouts of its own; these are the ones of its manual, with `timeout server` at 30 s.
    let configuration = "defaults\nmode http\ntimeout connect 5s\ntimeout client 30s\ntimeout server 30s\n\
        frontend feed\nbind 127.0.0.1:LISTEN\ndefault_backend bulla\n\
        backend bulla\nserver bulla 127.0.0.1:BULLA\n";
    let proxied = Proxied::start("haproxy", configuration, |command, file| {
        command.args(["-db", "-f"]).arg(file);
    });
    proxied.passes_the_feed_on(30);
}
