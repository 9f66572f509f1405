//! `/metrics` as the programs read it that scrape it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use super::{
    edges::{at, is_active, ready},
    relay::Relayed,
};
use crate::support::{
    deployment::{APP, Deployment},
    edge::Edge,
    http::Http,
    imported,
    process::{self, Process},
    programs,
    server::Server,
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A server of which as many metrics as may be have a value.
fn busy() -> (Deployment, Server) {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    assert_eq!(server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"], true);
    assert_eq!(server.data.post("/v1/verify", &json!({"api_key": "x"})).json()["active"], false);
    assert_eq!(server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})).status, 201);
    assert_eq!(server.admin.anonymous().get("/v1/keyring").status, 401);
    // From then on nothing changes by itself.
    let member = "bulla_followers{role=\"node\",state=\"current\"} 1\n";
    server.until("the node in its fleet", |server| server.metrics.get("/metrics").body.contains(member));
    (deployment, server)
}

/// What a node, an edge and a relay show for this `Accept`: the node has imported keys, secret halves and a follower.
fn pages_of_a_fleet(accept: &str) -> [(&'static str, String); 3] {
    let deployment = Deployment::new();
    let row = imported::row(&imported::sha256(imported::KEY), json!({}));
    imported::import(&deployment, &[row], &["--scheme", "sha256", "--prefix", "sk_live_"]).ok();
    let node = Server::start(&deployment);
    let folder = Edge::new(&deployment, &[&at(&node.data.address)], &["live"]);
    let edge = folder.start();
    edge.until("the first message", |edge| ready(edge).0);
    assert!(is_active(&node, imported::KEY) && is_active(&edge, &deployment.issue_text("live", &[])));
    assert!(is_active(&node, &deployment.issue_text("live", &["--secret"])));
    let member = "bulla_followers{role=\"edge\",state=\"current\"} 1\n";
    node.until("the edge in its fleet", |node| page(node, "text/plain").1.contains(member));
    let (of_node, of_edge) = (page(&node, accept).1, page(&edge, accept).1);
    // The API keys of an administrator and of the edge may have secret halves, too.
    for counted in ["bulla_imported_accepted_total", "bulla_secret_hashes_total{scheme=\"hmac-sha256\"}"] {
        assert!(node.metric(counted) > 0, "{counted}: {of_node}");
    }
    assert!(of_edge.contains("bulla_follow_"), "{of_edge}");
    [("a node", of_node), ("an edge", of_edge), ("a relay", page_of_a_relay(accept))]
}

fn page_of_a_relay(accept: &str) -> String {
    let relayed = Relayed::new("feed", "");
    let first = || relayed.metrics().try_request("GET", "/metrics");
    relayed.until("the relay's metrics", || first().is_some_and(|answer| answer.body.contains("bulla_follow_seq ")));
    shown_at(&relayed.metrics(), accept).1
}

/// The page for this `Accept`, and its media type.
fn page(server: &Server, accept: &str) -> (String, String) {
    shown_at(&server.metrics, accept)
}

fn shown_at(metrics: &Http, accept: &str) -> (String, String) {
    let answer = metrics.request("GET", "/metrics", &[("accept", accept)], "");
    assert_eq!((answer.status, answer.header("vary")), (200, Some("accept")));
    (answer.header("content-type").expect("a media type").to_owned(), answer.body)
}

/// The samples of a page: lines that are no comments.
fn samples(page: &str) -> Vec<&str> {
    page.lines().filter(|line| !line.starts_with('#')).collect()
}

/// The families of a page, and the type that it declares for each.
fn types(page: &str) -> BTreeMap<String, String> {
    let declared = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    declared.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// What the classic page has to declare: the same families, under the names that their samples have.
fn in_classic(open_metrics: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let renamed = open_metrics.into_iter().map(|(name, kind)| match kind.as_str() {
        "counter" => (format!("{name}_total"), kind),
        "info" => (format!("{name}_info"), "gauge".to_owned()),
        _ => (name, kind),
    });
    renamed.collect()
}

#[test]
fn every_family_declares_the_type_that_its_name_promises() {
    let (_deployment, server) = busy();
    let pages = || ["application/openmetrics-text", "text/plain"].map(|accept| page(&server, accept).1);
    // A family is there from its first sample on.
    server.until("the same families in both formats", |_| {
        let [open_metrics, classic] = pages();
        types(&classic) == in_classic(types(&open_metrics))
    });
    let [open_metrics, classic] = pages();
    let declared = types(&open_metrics);
    for (name, kind) in
        [("bulla_verify_accepted", "counter"), ("bulla_keyring_serial", "gauge"), ("bulla_build", "info")]
    {
        assert_eq!(declared.get(name).map(String::as_str), Some(kind), "{open_metrics}");
    }
    let declared = types(&classic);
    for sample in samples(&classic) {
        let name = sample.split(['{', ' ']).next().unwrap_or_default();
        let kind = declared.get(name).unwrap_or_else(|| panic!("{name} has no type"));
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
    }
}

#[test]
fn a_scraper_gets_the_format_that_it_asks_for() {
    let (_deployment, server) = busy();
    let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let (media_type, open_metrics) = page(&server, prometheus);
    assert_eq!(media_type, OPEN_METRICS);
    assert!(open_metrics.ends_with("# EOF\n") && open_metrics.contains("# TYPE bulla_build info\n"), "{open_metrics}");
    for accept in ["text/plain;version=0.0.4", "text/plain", "*/*", "application/vnd.google.protobuf", "text/html"] {
        let (media_type, classic) = page(&server, accept);
        assert_eq!(media_type, CLASSIC, "{accept}");
        assert_eq!(samples(&classic), samples(&open_metrics), "{accept}");
    }
}

#[test]
fn promtool_finds_nothing_to_say() {
    let (_deployment, server) = busy();
    let (_, classic) = page(&server, "text/plain");
    promtool_is_content("a node by itself", &classic);
    for (whose, classic) in pages_of_a_fleet("text/plain") {
        promtool_is_content(whose, &classic);
    }
}

fn promtool_is_content(whose: &str, classic: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed: tests/parts does that");
    promtool.stdin.take().expect("its input").write_all(classic.as_bytes()).expect("written");
    let said = promtool.wait_with_output().expect("promtool ends");
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && out.is_empty() && err.is_empty(), "{whose}: {out}{err}{classic}");
}

/// Ends with the test.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn the_parsers_of_python_know_the_type_of_every_family() {
    let (_deployment, server) = busy();
    for (format, accept) in [("openmetrics", "application/openmetrics-text"), ("classic", "text/plain")] {
        parsers_know(format, "a node by itself", &page(&server, accept).1);
        for (whose, shown) in pages_of_a_fleet(accept) {
            parsers_know(format, whose, &shown);
        }
    }
}

/// A parser of Python's reads each sample of a page, with the type that the page declares.
fn parsers_know(format: &str, whose: &str, shown: &str) {
    const SCRIPT: &str = "\
import sys
from prometheus_client import openmetrics, parser
import prometheus_client.openmetrics.parser
read = openmetrics.parser if sys.argv[1] == 'openmetrics' else parser
for family in read.text_string_to_metric_families(sys.stdin.read()):
    print(family.name, family.type, len(family.samples), bool(family.documentation))
";
    let mut parser = Command::new(crate::support::reference::python())
        .args(["-c", SCRIPT, format])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    parser.stdin.take().expect("its input").write_all(shown.as_bytes()).expect("written");
    let said = parser.wait_with_output().expect("it ends");
    assert!(said.status.success(), "{format}, {whose}: {shown}");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let (mut samples_read, mut read) = (0, BTreeMap::new());
    for line in said.lines() {
        let [name, kind, count, documented] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!(documented, "True", "{format}, {whose}: {name} has a text");
        samples_read += count.parse::<usize>().expect("a number");
        read.insert(name.to_owned(), kind.to_owned());
    }
    assert_eq!(samples_read, samples(shown).len(), "{format}, {whose}: {said}");
    // It names a counter without `_total`, whatever the format.
    let declared = types(shown).into_iter().map(|(name, kind)| match name.strip_suffix("_total") {
        Some(bare) if kind == "counter" => (bare.to_owned(), kind),
        _ => (name, kind),
    });
    assert_eq!(read, declared.collect(), "{format}, {whose}");
}

#[test]
fn the_pushgateway_knows_the_type_of_every_family() {
    let (deployment, server) = busy();
    let (port, log) = (process::free_port(), deployment.file("pushgateway.log"));
    let address = format!("--web.listen-address=127.0.0.1:{port}");
    let _gateway = Process::start(
        &programs::find("prometheus-pushgateway"),
        |command| {
            // Debian's keeps what it was told in a file of the system.
            command.args([&address, "--persistence.file="]);
        },
        &log,
    );
    process::wait_until("prometheus-pushgateway", &log, || process::listens(port));
    let gateway = Http::new(&format!("127.0.0.1:{port}"));
    let (_, shown) = page(&server, "text/plain");
    let taken = gateway.request("POST", "/metrics/job/bulla", &[("content-type", "text/plain")], &shown);
    assert_eq!(taken.status, 200, "{}", taken.body);
    let known = gateway.get("/api/v1/metrics").json();
    let read: BTreeMap<String, String> = known["data"][0]
        .as_object()
        .expect("one group")
        .iter()
        .filter(|(name, _)| name.starts_with("bulla_"))
        .map(|(name, family)| (name.clone(), family["type"].as_str().expect("a type").to_lowercase()))
        .collect();
    // It drops families without a sample.
    let with_samples: BTreeSet<&str> =
        samples(&shown).iter().filter_map(|sample| sample.split(['{', ' ']).next()).collect();
    let declared = types(&shown).into_iter().filter(|(name, _)| with_samples.contains(name.as_str()));
    assert_eq!(read, declared.collect());
}

#[test]
fn victoria_metrics_scrapes_every_sample() {
    let (deployment, server) = busy();
    let configuration = format!(
        "scrape_configs:\n- job_name: bulla\n  scrape_interval: 1s\n  static_configs:\n  - targets: ['{}']\n",
        server.metrics.address
    );
    let file = deployment.file("scrape.yml");
    std::fs::write(&file, configuration).expect("written");
    let port = process::free_port();
    let log = deployment.file("victoria.log");
    let _scraper = Process::start(
        &programs::find("victoria-metrics"),
        |command| {
            command.arg(format!("-promscrape.config={}", file.display()));
            command.arg(format!("-storageDataPath={}", deployment.file("victoria").display()));
            command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
            command.arg("-memory.allowedBytes=64MB");
        },
        &log,
    );
    process::wait_until("victoria-metrics", &log, || process::listens(port));
    let http = Http::new(&format!("127.0.0.1:{port}"));
    let (_, shown) = page(&server, "text/plain");
    let name = |sample: &&str| sample.split(['{', ' ']).next().unwrap_or_default().to_owned();
    let expected: BTreeSet<String> = samples(&shown).iter().map(name).collect();
    let known = || -> Vec<String> {
        let answer = http.get("/api/v1/label/__name__/values").json();
        answer["data"].as_array().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    server.until(&format!("a scrape with {expected:?}"), |_| {
        let known = known();
        expected.iter().all(|name| known.contains(name))
    });
}

#[test]
fn prometheus_scrapes_every_sample() {
    let (deployment, server) = busy();
    let configuration = format!(
        "scrape_configs:\n- job_name: bulla\n  scrape_interval: 3s\n  scrape_timeout: 3s\n  static_configs:\n  - targets: ['{}']\n",
        server.metrics.address
    );
    let file = deployment.file("prometheus.yml");
    std::fs::write(&file, configuration).expect("written");
    let port = process::free_port();
    let log = std::fs::File::create(deployment.file("prometheus.log")).expect("a log");
    let prometheus = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", deployment.file("prometheus").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(log.try_clone().expect("the log"))
        .stderr(log)
        .spawn();
    let _prometheus = Prometheus(prometheus.expect("prometheus is installed: tests/parts does that"));
    let prometheus = Http::new(&format!("127.0.0.1:{port}"));
    let ask = |path: &str| -> Value {
        let answer = prometheus.try_request("GET", path).filter(|answer| answer.status == 200);
        answer.map_or(Value::Null, |answer| answer.json()["data"].clone())
    };
    let value = |query: &str| ask(&format!("/api/v1/query?query={query}"))["result"][0]["value"][1].clone();
    // The administrator's key is verified as well.
    server.until("a scrape", |_| value("bulla_verify_accepted_total") == "2");
    server.until("a scrape that succeeds", |_| value("up") == "1");
    for (query, expected) in [
        ("bulla_verify_rejected_total{reason=\"malformed\"}", "1"),
        ("bulla_api_keys_issued_total", "1"),
        ("bulla_admin_refused_total", "1"),
        ("bulla_sealed_api_keys{realm=\"live\"}", "2"),
        ("bulla_build_info", "1"),
    ] {
        let encoded: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        server.until(query, |_| value(&encoded) == expected);
    }
    let read = || -> BTreeMap<String, String> {
        let known = ask("/api/v1/metadata");
        let told = known.as_object().into_iter().flatten();
        told.map(|(name, told)| (name.clone(), told[0]["type"].as_str().unwrap_or_default().to_owned())).collect()
    };
    // It asks for OpenMetrics. A family is there from its first sample on.
    server.until("a scrape of the families of now", |server| {
        read() == types(&page(server, "application/openmetrics-text").1)
    });
}
