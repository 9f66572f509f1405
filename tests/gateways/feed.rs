//! The revocation feed behind proxies that know nothing of it: each is told where bulla is, and keeps its default
//! timeouts.

use std::{
    fs,
    path::Path,
    process::Command,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bulla::{
    ApiKey, SharedVerifier, Verifier,
    feed::{Follower, FollowerHandle, WhenStale},
    keyring::{Keyring, KeyringDocument},
    source::Sources,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    deployment::Deployment,
    http::{Answer, Events, Http},
    process::{self, Process},
    programs,
    server::Server,
};

/// Keys that are revoked in turn.
const TOLD: usize = 4;

/// A program that passes requests on.
struct Proxy<'a> {
    program: &'static str,
    /// How the name of its file ends.
    kind: &'static str,
    /// `LISTEN` and `BULLA` are ports in it, and `HERE` is its folder.
    configuration: &'a str,
    prepare: fn(&mut Command, &Path),
}

/// A proxy in front of a server.
struct Proxied {
    deployment: Deployment,
    server: Server,
    feed: Http,
    _proxy: Process,
    _folder: TempDir,
}

impl Proxy<'_> {
    /// Starts it before a server of its own, which has these environment variables.
    fn start(&self, environment: &[(&str, &str)]) -> Proxied {
        let deployment = Deployment::new();
        let key = deployment.issue_text("bulla", &["--scope", "feed"]);
        let server = Server::start_with(&deployment, environment);
        self.before(deployment, server, &key)
    }

    /// Starts it before this server.
    fn before(&self, deployment: Deployment, server: Server, key: &str) -> Proxied {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, bulla) = (process::free_port(), server.data.address.rsplit(':').next().expect("a port"));
        let text = self.configuration.replace("LISTEN", &port.to_string()).replace("BULLA", bulla);
        let file = folder.path().join("configuration").with_extension(self.kind);
        fs::write(&file, text.replace("HERE", &folder.path().display().to_string())).expect("written");
        let (program, log) = (self.program, folder.path().join("log"));
        let proxy = Process::start(&programs::find(program), |command| (self.prepare)(command, &file), &log);
        process::wait_until(program, &log, || process::listens(port));
        let feed = Http::new(&format!("127.0.0.1:{port}")).bearer(key);
        process::wait_until(program, &log, || feed.try_request("GET", "/healthz").is_some_and(|up| up.status == 200));
        Proxied { deployment, server, feed, _proxy: proxy, _folder: folder }
    }

    /// Holds it to passing on the feed at once, and to closing nothing that is in use. It closes a connection to bulla
    /// after `timeout` seconds of silence.
    fn passes_the_feed_on(&self, timeout: usize) {
        // One server's messages count for so long that only comments keep a stream alive. The other one's count for as
        // long as they usually do, and the library's follower lives on them.
        let (silent, usual) = (self.start(&[("BULLA_FEED__VALID_FOR", "10m")]), self.start(&[]));
        let (following, mut stream) = (usual.follow(), usual.stream());
        usual.tells_at_once(&mut stream, Some(&following));
        let first = *following.status().fresh.expect("it is fresh").end();
        thread::scope(|scope| {
            let raw = scope.spawn(|| silent.outlasts(timeout));
            // Until the messages that it has now would be stale.
            while !raw.is_finished() || now() <= first {
                assert_fresh(&following);
                thread::sleep(Duration::from_millis(20));
            }
        });
        // On the first one messages without events have come meanwhile.
        let mut stream = usual.stream();
        usual.tells_at_once(&mut stream, Some(&following));
        assert_fresh(&following);
    }
}

impl Proxied {
    /// The library's follower, through the proxy, once it is complete.
    fn follow(&self) -> FollowerHandle {
        let shown = self.deployment.keyring(&["show"]);
        let text = |name: &str| shown[name].as_str().expect(name).to_owned();
        let (keyring_id, key) =
            (text("keyring_id").parse().expect("an id"), text("feed_public_key").parse().expect("a key"));
        let api_key: ApiKey = self.feed.key().parse().expect("a key");
        let keyring =
            Keyring::load(&KeyringDocument::new(keyring_id), &Sources::new("."), &[]).expect("an empty keyring");
        let verifier = SharedVerifier::new(Verifier::new(&keyring));
        let address = format!("http://{}/v1/revocations", self.feed.address);
        let follower = Follower::new(&address, &api_key, keyring_id, key).expect("a follower");
        let following = follower.start(&verifier, WhenStale::CouldNotTell, now).expect("started");
        self.server.until("the end of the log", |_| following.status().complete);
        following
    }

    /// Revokes this key: its id.
    fn revoke_key(&self, key: &Value) -> String {
        let id = key["api_key_id"].as_str().expect("an id").to_owned();
        assert_eq!(self.server.admin.request("DELETE", &format!("/v1/api-keys/{id}"), &[], "").status, 200);
        id
    }

    /// Revokes a new key: the place in the log after it.
    fn revoke(&self) -> u64 {
        self.revoke_key(&self.deployment.issue("live", &[]));
        self.end()
    }

    /// The end of the log, as the server says without a proxy.
    fn end(&self) -> u64 {
        let direct = self.server.data.bearer(self.feed.key());
        head(&direct.get("/v1/revocations?after=0").body)["head"].as_u64().expect("a number")
    }

    /// A stream whose first message has come.
    fn stream(&self) -> Events {
        // Neither the head nor that message waits for more: a reader gives up after two minutes.
        let mut stream = self.feed.stream("/v1/revocations");
        assert_eq!(head(&stream.message())["bulla"], "feed/1");
        stream
    }

    /// Asks for what comes behind this place, and waits for it as long as the server lets it.
    fn wait_behind(&self, place: u64) -> JoinHandle<Answer> {
        let feed = self.feed.clone();
        thread::spawn(move || feed.get(&format!("/v1/revocations?after={place}&wait=10m")))
    }

    /// Revokes keys in turn, each after everyone has heard of the one before: the stream, who waits, and the follower.
    /// Returns the place in the log after them.
    ///
    /// The stream gets a comment once it was silent for ten seconds. So none comes before the next event, unless the
    /// proxy held something back until more came, or somebody heard of it at the end of a wait only.
    fn tells_at_once(&self, stream: &mut Events, following: Option<&FollowerHandle>) -> u64 {
        let keys: Vec<Value> = (0..TOLD).map(|_| self.deployment.issue("live", &[])).collect();
        let mut end = self.end();
        for (at, key) in keys.iter().enumerate() {
            let waiting = self.wait_behind(end);
            let id = self.revoke_key(key);
            // Comments of the time before this come ahead of the first one.
            let streamed = if at == 0 { stream.message() } else { stream.message_before_comment() };
            let waited = waiting.join().expect("an answer").body;
            end += 1;
            for told in [streamed, waited] {
                assert!(told.contains(&format!("\"revoke\":\"{id}\"")), "{told}");
                assert_eq!(head(&told)["seq"], end, "{told}");
            }
            if let Some(following) = following {
                self.server.until("the follower's place", |_| {
                    assert_fresh(following);
                    following.status().seq == end
                });
            }
        }
        end
    }

    /// Streams and waits outlast `timeout` seconds without an event, and are told at once before and after that.
    fn outlasts(&self, timeout: usize) {
        let mut stream = self.stream();
        let end = self.tells_at_once(&mut stream, None);
        let waiting = self.wait_behind(end);
        // A comment comes every ten seconds.
        (0..=timeout / 10).for_each(|_| stream.comment());
        let waited = waiting.join().expect("an answer");
        assert_eq!((waited.status, &head(&waited.body)["seq"]), (200, &end.into()), "{}", waited.body);
        self.tells_at_once(&mut stream, None);
    }
}

fn assert_fresh(following: &FollowerHandle) {
    let status = following.status();
    assert!(status.stale_since(now()).is_none() && status.complete, "{status:?}");
}

fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()
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
    let prepare = |command: &mut Command, file: &Path| {
        command.arg("-c").arg(file).args(["-g", "daemon off; master_process off;"]);
    };
    Proxy { program: "nginx", kind: "conf", configuration, prepare }.passes_the_feed_on(60);
}

#[test]
fn haproxy() {
    // It has no timeouts of its own; these are the ones of its manual, with `timeout server` at 30 s.
    let configuration = "defaults\nmode http\ntimeout connect 5s\ntimeout client 30s\ntimeout server 30s\n\
        frontend feed\nbind 127.0.0.1:LISTEN\ndefault_backend bulla\n\
        backend bulla\nserver bulla 127.0.0.1:BULLA\n";
    Proxy { program: "haproxy", kind: "cfg", configuration, prepare: haproxy_in }.passes_the_feed_on(30);
}

fn haproxy_in(command: &mut Command, file: &Path) {
    command.args(["-db", "-f"]).arg(file);
}

/// A route, and nothing else that a proxy needs to pass requests on, except the lines that are said.
const ENVOY: &str = r#"static_resources:
  listeners:
    - address: { socket_address: { address: 127.0.0.1, port_value: LISTEN } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: feed
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
                route_config:
                  virtual_hosts:
                    - name: feed
                      domains: ["*"]
                      routes: [{ match: { prefix: / }, route: { cluster: bulla TIMEOUT } }]
  clusters:
    - name: bulla
      load_assignment:
        cluster_name: bulla
        endpoints:
          - lb_endpoints:
              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: BULLA } } }
"#;

fn envoy_in(command: &mut Command, file: &Path) {
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c"]).arg(file);
}

#[test]
fn envoy() {
    let configuration = &ENVOY.replace("TIMEOUT", ", timeout: 0s");
    Proxy { program: "envoy", kind: "yaml", configuration, prepare: envoy_in }.passes_the_feed_on(20);
}

#[test]
fn traefik() {
    let configuration = r#"entryPoints: { feed: { address: "127.0.0.1:LISTEN" } }
global: { checkNewVersion: false, sendAnonymousUsage: false }
providers: { file: { filename: HERE/configuration.yaml } }
http:
  routers: { feed: { rule: PathPrefix(`/`), service: bulla } }
  services: { bulla: { loadBalancer: { servers: [{ url: "http://127.0.0.1:BULLA" }] } } }
"#;
    let prepare = |command: &mut Command, file: &Path| {
        let folder = file.parent().expect("a folder");
        // The static configuration is the part that Traefik takes from a file of its own.
        let text = fs::read_to_string(file).expect("read");
        let (fixed, routes) = text.split_once("http:\n").expect("two parts");
        fs::write(folder.join("traefik.yaml"), fixed).expect("written");
        fs::write(file, format!("http:\n{routes}")).expect("written");
        command.arg("--configfile").arg(folder.join("traefik.yaml"));
    };
    Proxy { program: "traefik", kind: "yaml", configuration, prepare }.passes_the_feed_on(20);
}

#[test]
fn caddy() {
    let configuration = "{\nadmin off\n}\nhttp://:LISTEN {\nbind 127.0.0.1\nreverse_proxy 127.0.0.1:BULLA\n}\n";
    let prepare = |command: &mut Command, file: &Path| {
        let folder = file.parent().expect("a folder");
        command.env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    };
    Proxy { program: "caddy", kind: "caddyfile", configuration, prepare }.passes_the_feed_on(20);
}

#[test]
fn behind_a_proxy_that_gives_up_a_follower_asks_for_shorter_waits_and_is_never_stale() {
    // Envoy's own time-out is 15 s, and a follower's first wait is 25 s.
    let configuration = &ENVOY.replace("TIMEOUT", "");
    let proxied = Proxy { program: "envoy", kind: "yaml", configuration, prepare: envoy_in }.start(&[]);
    let following = proxied.follow();
    // A follower that went on to ask for 25 s would fail every twenty seconds.
    let (begun, mut quiet_since) = (Instant::now(), Instant::now());
    while begun.elapsed() < Duration::from_secs(50) || quiet_since.elapsed() < Duration::from_secs(30) {
        let status = following.status();
        if status.failures > 0 {
            quiet_since = Instant::now();
        }
        assert_fresh(&following);
        assert!(begun.elapsed() < Duration::from_secs(240), "{status:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn two_nodes_at_different_places_behind_one_address_make_no_follower_flap() {
    let deployment = Deployment::new();
    let key = deployment.issue_text("bulla", &["--scope", "feed"]);
    let behind = deployment.copy();
    let servers = [&deployment, &behind].map(Server::start);
    let [ahead, behind] = servers.each_ref().map(|server| server.data.address.clone());
    // Each request goes to the other one.
    let configuration = format!(
        "defaults\nmode http\ntimeout connect 5s\ntimeout client 60s\ntimeout server 60s\n\
         frontend feed\nbind 127.0.0.1:LISTEN\ndefault_backend bulla\n\
         backend bulla\nbalance roundrobin\nserver a {ahead}\nserver b {behind}\n"
    );
    let [server, _behind] = servers;
    let proxy = Proxy { program: "haproxy", kind: "cfg", configuration: &configuration, prepare: haproxy_in };
    let proxied = proxy.before(deployment, server, &key);
    let following = proxied.follow();
    let mut place = following.status().seq;
    // Where it waits at the node that never hears of it, it asks the other one after 25 s.
    for _ in 0..5 {
        let (end, asked) = (proxied.revoke(), Instant::now());
        while following.status().seq < end {
            let status = following.status();
            assert!(status.seq >= place && status.complete && status.stale_since(now()).is_none(), "{status:?}");
            assert_eq!((status.failures, status.refused, status.diverged), (0, 0, 0), "{status:?}");
            assert!(asked.elapsed() < Duration::from_secs(120), "{status:?}");
            thread::sleep(Duration::from_millis(5));
        }
        place = end;
    }
}
