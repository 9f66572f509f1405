//! Envoy with bulla inside: how it starts and is updated, and what only it has.

use std::{fs, path::Path, process::Command};

use crate::gateways::{
    gateway::{ENVOY, ENVOY_HTTP, Empty, Gateway, without_tls},
    inside::{self, Inside, Library},
    keys::Keys,
    outcome::{REACHES, outcome},
    question::Question,
    rate_limits,
    running::Running,
    table,
};
use crate::support::{
    http::Http,
    process::{self, Process},
    programs,
};

const MODULE: Inside = Inside {
    verifies: Library::Module("bulla-envoy", "libbulla_envoy.so"),
    processes: 1,
    prepare: by_updates,
    reload: update,
};

pub const INSIDE: Gateway = Gateway {
    program: "envoy",
    examples: "modules/envoy",
    files: &["envoy.yaml"],
    inside: Some(MODULE),
    prepare: |command, folder| {
        command.arg("-c").arg(folder.join("envoy.yaml")).args(ENVOY);
    },
    socket: false,
    empty: Empty::LeftOut,
    http2: without_tls,
    without_bulla: REACHES,
    hanging_bulla: REACHES,
    mistaken_route: inside::NO_START,
    differs: ENVOY_HTTP.differs,
};

/// The version before, which has less.
pub const INSIDE_1_39: Gateway = Gateway { program: "envoy-1.39", ..INSIDE };

const LISTENER: &str = "    - name: gateway\n";
const CLUSTERS: &str = "  clusters:\n";

/// Its listener comes as an update, from a file.
fn by_updates(command: &mut Command, folder: &Path) {
    let text = fs::read_to_string(folder.join("envoy.yaml")).expect("the file");
    let (_, listener) = text.split_once(LISTENER).expect("a listener");
    let (listener, clusters) = listener.split_once(CLUSTERS).expect("clusters");
    let listener_type = "    - \"@type\": type.googleapis.com/envoy.config.listener.v3.Listener\n      name: gateway\n";
    fs::write(folder.join("listeners.yaml"), format!("resources:\n{listener_type}{listener}")).expect("written");
    let path = folder.join("listeners.yaml");
    let bootstrap = format!(
        "node: {{ id: gateway, cluster: gateway }}\ndynamic_resources:\n  lds_config: {{ path_config_source: {{ path: {} }} }}\n\
         static_resources:\n{CLUSTERS}{clusters}",
        path.display()
    );
    fs::write(folder.join("bootstrap.yaml"), bootstrap).expect("written");
    command.arg("-c").arg(folder.join("bootstrap.yaml")).args(ENVOY).args(["--drain-time-s", "5"]);
}

/// Has it take a listener with another name in its answers, and waits until it does.
fn update(running: &mut Running) {
    change(running, |text| text.replace("stat_prefix:", "server_name: updated\n                stat_prefix:"));
    let updated = || running.http.get("/other").header("server").is_some_and(|name| name == "updated");
    process::wait_until("the update", &running.folder().join("log"), updated);
}

/// Puts other listeners in place, and returns those that were there.
fn change(running: &Running, change: impl FnOnce(&str) -> String) -> String {
    let (path, new) = (running.folder().join("listeners.yaml"), running.folder().join("new.yaml"));
    let before = fs::read_to_string(&path).expect("the listeners");
    fs::write(&new, change(&before)).expect("written");
    // Envoy looks for files that are moved in.
    fs::rename(new, path).expect("in place");
    before
}

/// The same, where a new process takes the listeners over.
const RESTARTED: Gateway =
    Gateway { inside: Some(Inside { prepare: first_of_two, reload: restart, ..MODULE }), ..INSIDE };

/// Two processes find each other by this number.
const BASE_ID: &str = "base-id";
const SHORT: [&str; 6] = ["--concurrency", "1", "--drain-time-s", "4", "--parent-shutdown-time-s", "8"];

pub fn first_of_two(command: &mut Command, folder: &Path) {
    command.arg("-c").arg(folder.join("envoy.yaml")).args(SHORT);
    command.args(["--use-dynamic-base-id", "--base-id-path"]).arg(folder.join(BASE_ID));
}

/// Starts the second, and waits for the end of the first.
pub fn restart(running: &mut Running) {
    let folder = running.folder().to_owned();
    let number = fs::read_to_string(folder.join(BASE_ID)).expect("its number");
    let start = |command: &mut Command| {
        command.arg("-c").arg(folder.join("envoy.yaml")).args(SHORT);
        command.args(["--restart-epoch", "1", "--base-id", number.trim()]);
    };
    let log = folder.join("log");
    let new = Process::start(&programs::find(running.gateway.program), start, &log);
    let first = running.process().id();
    let ended = || fs::read_to_string(format!("/proc/{first}/status")).is_ok_and(|status| status.contains("State:\tZ"));
    process::wait_until("the end of the first process", &log, ended);
    *running.process() = new;
}

#[test]
fn a_new_process_takes_over_under_traffic() {
    inside::revocations_and_reloads_under_traffic(&RESTARTED);
}

#[test]
fn bulla_inside_envoy() {
    table::hold(&INSIDE);
    inside::hold(&INSIDE);
}

#[test]
fn bulla_inside_the_envoy_before() {
    table::hold(&INSIDE_1_39);
    let metadata = ("metadata: [app_id]", "metadata: [app_id, limit]");
    Running::refused(&INSIDE_1_39, &[metadata], "which need Envoy 1.40");
}

#[test]
fn envoy_limits_apps_by_the_metadata_of_the_module() {
    let all = ("metadata: [app_id]", "metadata: [app_id, scopes]");
    rate_limits::hold(&INSIDE, "bulla", &[all]);
}

/// The module's threads in this process.
fn threads(process: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("its threads").flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("bulla")).count()
}

#[test]
fn configurations_share_a_follower_and_the_last_one_ends_it() {
    let mut running = Running::start_as(&INSIDE, by_updates, &[], |_| {});
    let keys = Keys::issue(&running.deployment);
    let good = Question::new(&keys.good, "/orders/7").bearer();
    table::until_it_reaches(&running, &good);
    let (envoy, log) = (running.process().id(), running.folder().join("log"));
    let begun = threads(envoy);
    assert!(begun > 0, "it follows the feed");
    update(&mut running);
    process::wait_until("the end of the old configuration", &log, || threads(envoy) == begun);
    assert_eq!(outcome(&running, &good), REACHES);
    let mistaken = change(&running, |text| text.replace("realm:live,scope:orders.read", "nonsense"));
    process::wait_until("the refusal", &log, || running.log().contains("is not `name:value`"));
    assert_eq!(outcome(&running, &good), REACHES, "a refused update changes nothing");
    change(&running, |_| "resources: []\n".to_owned());
    process::wait_until("the end of all threads", &log, || threads(envoy) == 0);
    change(&running, |_| mistaken);
    let port = running.http.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    process::wait_until("the listener", &log, || process::listens(port));
    table::until_it_reaches(&running, &good);
}

#[test]
fn metrics_are_told_once_whatever_counts_them() {
    let port = process::free_port();
    let admin = format!(
        "admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}\nstatic_resources:"
    );
    let running = Running::start_with(&INSIDE, &[("static_resources:", admin.as_str())]);
    let keys = Keys::issue(&running.deployment);
    let (good, forged) =
        (Question::new(&keys.good, "/orders/7").bearer(), Question::new(&keys.forged, "/orders/7").bearer());
    table::until_it_reaches(&running, &good);
    for _ in 0..3 {
        assert_eq!(outcome(&running, &forged), table::NO_KEY);
    }
    let admin = Http::new(&format!("127.0.0.1:{port}"));
    let told = |name: &str| {
        let stats = admin.get("/stats").body;
        let value = stats.lines().find_map(|line| line.strip_prefix(&format!("dynamicmodulescustom.bulla_{name}: ")));
        value.and_then(|value| value.parse::<u64>().ok())
    };
    let log = running.folder().join("log");
    process::wait_until("the count", &log, || told("rejected.reason.seal") == Some(3));
    let accepted = told("accepted").expect("a count");
    assert!(accepted >= 1 && told("panics") == Some(0) && told("feed_age_seconds").is_some_and(|age| age < 120));
    // It is told again each second, and has not grown.
    let before = told("feed_seq");
    assert_eq!(
        running.server().admin.request("DELETE", &format!("/v1/api-keys/{}", keys.revoked.id), &[], "").status,
        200
    );
    process::wait_until("the revocation", &log, || told("feed_seq") > before && told("revocations") > Some(0));
    assert_eq!((told("accepted"), told("rejected.reason.seal")), (Some(accepted), Some(3)));
}

#[test]
fn nothing_but_the_hooks_is_exported() {
    let names = programs::run(Command::new("nm").args(["--dynamic", "--defined-only"]).arg(MODULE.verifies.build()));
    let names: Vec<_> = names.lines().filter_map(|line| line.split(' ').next_back()).collect();
    assert!(names.len() > 20 && names.iter().all(|name| name.starts_with("envoy_dynamic_module_on_")), "{names:?}");
}
