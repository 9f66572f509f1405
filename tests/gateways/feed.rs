//! The revocation feed behind proxies that know nothing of it: each is told where bulla is, and keeps its default
//! timeouts.

use std::{
    fs,
    path::Path,
    process::Command,
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
    fn start(program: &str, kind: &str, configuration: &str, prepare: fn(&mut Command, &Path)) -> Self {
        let deployment = Deployment::new();
        let key = deployment.issue_text("bulla", &["--scope", "feed"]);
        let server = Server::start_with(&deployment, &[("BULLA_FEED__VALID_FOR", "10m")]);
        Self::before(deployment, server, &key, (program, kind), configuration, prepare)
    }

    /// The same before this server.
    fn before(
        deployment: Deployment,
        server: Server,
        key: &str,
        (program, kind): (&str, &str),
        configuration: &str,
        prepare: fn(&mut Command, &Path),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, bulla) = (process::free_port(), server.data.address.rsplit(':').next().expect("a port"));
        let text = configuration.replace("LISTEN", &port.to_string()).replace("BULLA", bulla);
        let file = folder.path().join("configuration").with_extension(kind);
        fs::write(&file, text.replace("HERE", &folder.path().display().to_string())).expect("written");
        let log = folder.path().join("log");
        let proxy = Process::start(&programs::find(program), |command| prepare(command, &file), &log);
        process::wait_until(program, &log, || process::listens(port));
        let feed = Http::new(&format!("127.0.0.1:{port}")).bearer(key);
        process::wait_until(program, &log, || feed.try_request("GET", "/healthz").is_some_and(|up| up.status == 200));
        Proxied { deployment, server, feed, _proxy: proxy, _folder: folder }
    }

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

    /// Revokes a new key: its id.
    fn revoke_one(&self) -> String {
        let key = self.deployment.issue("live", &[]);
        let id = key["api_key_id"].as_str().expect("an id").to_owned();
        assert_eq!(self.server.admin.request("DELETE", &format!("/v1/api-keys/{id}"), &[], "").status, 200);
        id
    }

    /// The same: the place in the log after it.
    fn revoke(&self) -> u64 {
        self.revoke_one();
        let direct = self.server.data.bearer(self.feed.key());
        head(&direct.get("/v1/revocations?after=0").body)["head"].as_u64().expect("a number")
    }

    /// A new key is revoked, and the stream says so; the place in the log after it.
    fn tells_of_a_revocation(&self, stream: &mut Events) -> u64 {
        let id = self.revoke_one();
        let message = stream.message();
        assert!(message.contains(&format!("\"revoke\":\"{id}\"")), "{message}");
        head(&message)["seq"].as_u64().expect("a number")
    }

    /// The proxy closes a connection to bulla after `timeout` seconds of silence.
    fn passes_the_feed_on(&self, timeout: usize) {
        // Neither the head nor the first message waits for more: a reader gives up after two minutes.
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
    let proxied = Proxied::start("nginx", "conf", configuration, |command, file| {
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
    let proxied = Proxied::start("haproxy", "cfg", configuration, |command, file| {
        command.args(["-db", "-f"]).arg(file);
    });
    proxied.passes_the_feed_on(30);
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
    let configuration = ENVOY.replace("TIMEOUT", ", timeout: 0s");
    Proxied::start("envoy", "yaml", &configuration, envoy_in).passes_the_feed_on(20);
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
    let proxied = Proxied::start("traefik", "yaml", configuration, |command, file| {
        let folder = file.parent().expect("a folder");
        // The static configuration is the part that Traefik takes from a file of its own.
        let text = fs::read_to_string(file).expect("read");
        let (fixed, routes) = text.split_once("http:\n").expect("two parts");
        fs::write(folder.join("traefik.yaml"), fixed).expect("written");
        fs::write(file, format!("http:\n{routes}")).expect("written");
        command.arg("--configfile").arg(folder.join("traefik.yaml"));
    });
    proxied.passes_the_feed_on(20);
}

#[test]
fn caddy() {
    let configuration = "{\nadmin off\n}\nhttp://:LISTEN {\nbind 127.0.0.1\nreverse_proxy 127.0.0.1:BULLA\n}\n";
    let proxied = Proxied::start("caddy", "caddyfile", configuration, |command, file| {
        let folder = file.parent().expect("a folder");
        command.env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    });
    proxied.passes_the_feed_on(20);
}

#[test]
fn behind_a_proxy_that_gives_up_a_follower_asks_for_shorter_waits_and_is_never_stale() {
    // Envoy's own time-out is 15 s, and a follower's first wait is 25 s.
    let deployment = Deployment::new();
    let key = deployment.issue_text("bulla", &["--scope", "feed"]);
    let server = Server::start(&deployment);
    let configuration = ENVOY.replace("TIMEOUT", "");
    let proxied = Proxied::before(deployment, server, &key, ("envoy", "yaml"), &configuration, envoy_in);
    let following = proxied.follow();
    // A follower that went on to ask for 25 s would fail every twenty seconds.
    let (begun, mut quiet_since) = (Instant::now(), Instant::now());
    while begun.elapsed() < Duration::from_secs(50) || quiet_since.elapsed() < Duration::from_secs(30) {
        let status = following.status();
        if status.failures > 0 {
            quiet_since = Instant::now();
        }
        assert!(status.stale_since(now()).is_none() && status.complete, "{status:?}");
        assert!(begun.elapsed() < Duration::from_secs(240), "{status:?}");
        std::thread::sleep(Duration::from_millis(20));
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
    let proxied = Proxied::before(deployment, server, &key, ("haproxy", "cfg"), &configuration, |command, file| {
        command.args(["-db", "-f"]).arg(file);
    });
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
            std::thread::sleep(Duration::from_millis(5));
        }
        place = end;
    }
}
