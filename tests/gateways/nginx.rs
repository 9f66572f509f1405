//! What only the module for nginx can get wrong: nginx's own directives around it, workers that end and begin, and a
//! configuration that nginx refuses.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::gateways::{
    inside,
    keys::{Key, Keys},
    modules::NGINX_MODULE,
    outcome::{REACHES, outcome},
    question::Question,
    running::Running,
    table::{self, NO_KEY},
};
use crate::support::{programs, stop::StopOnDrop};

/// Where further locations go.
const LAST: &str = "        location / {\n            return 404;";

/// Locations that use what nginx has around the access phase.
const LOCATIONS: &str = r#"
        location /any/ { bulla realm:live; satisfy any; allow 127.0.0.2; deny all; proxy_pass http://127.0.0.1:9000; }
        location /all/ { bulla realm:live; allow 127.0.0.2; deny all; proxy_pass http://127.0.0.1:9000; }
        location /kept/ { bulla realm:live; bulla_keep_credentials on; proxy_pass http://127.0.0.1:9000; }
        location /open/ { bulla off; proxy_pass http://127.0.0.1:9000; }
        location /page/ { bulla realm:live; error_page 401 403 = /login; proxy_pass http://127.0.0.1:9000; }
        location = /login { bulla off; proxy_pass http://127.0.0.1:9000; }
        location /named/ { bulla realm:live; try_files /none @application; }
        location @application { proxy_pass http://127.0.0.1:9000; }
        location /moved/ { bulla realm:live; try_files /none /orders/7; }
        location /writes/ { limit_except GET { bulla realm:live; } proxy_pass http://127.0.0.1:9000; }
        location /copied/ { bulla realm:live; mirror /copy; proxy_pass http://127.0.0.1:9000; }
        location = /copy { internal; proxy_pass http://127.0.0.1:9000; }
        location /asked/ { bulla realm:live; auth_request /copy; proxy_pass http://127.0.0.1:9000; }
        location /limited/ {
            bulla realm:live; limit_req zone=apps; limit_req_status 429; proxy_pass http://127.0.0.1:9000;
        }
        location /plan/ {
            bulla realm:live; proxy_set_header X-Plan $bulla_meta_plan; proxy_set_header X-App $bulla_app_id;
            proxy_pass http://127.0.0.1:9000;
        }
        location / {
            return 404;"#;

const LOG: [(&str, &str); 2] = [
    (
        "access_log off;",
        "log_format told '$uri $status $bulla_app_id $bulla_api_key_id $bulla_realm $bulla_scopes $bulla_reason';\n    \
         access_log log-of-requests told;",
    ),
    ("    map $request_uri", "    limit_req_zone $bulla_app_id zone=apps:1m rate=1r/m;\n    map $request_uri"),
];

fn workers(changes: &[(&str, &str)]) -> (Running, Keys) {
    let inside = NGINX_MODULE.inside.as_ref().expect("bulla is inside");
    let running = Running::start_as(&NGINX_MODULE, inside.prepare, changes, |_| {});
    let keys = Keys::issue(&running.deployment);
    table::until_it_reaches(&running, &Question::new(&keys.good, "/orders/7").bearer());
    inside::all_report(&running, inside.processes);
    (running, keys)
}

#[test]
fn the_module_fits_into_the_other_directives() {
    let (running, keys) = workers(&[&[(LAST, LOCATIONS)], &LOG[..]].concat());
    let ask = |key: &Key, target: &str| Question::new(key, target).x_api_key();
    let mut wrong = Vec::new();
    let mut hold = |what: &str, question: &Question, expected: &str| {
        let outcome = outcome(&running, question);
        if outcome != expected {
            wrong.push(format!("{what}: {outcome}, not: {expected}"));
        }
    };
    let identity = |question: Question| question.with("X-Bulla-App-Id", "root").with("X-Bulla-Anything", "root");
    let (good, forged) = (&keys.good, &keys.forged);
    hold("satisfy any, a key", &ask(good, "/any/7"), REACHES);
    hold("satisfy any, no key", &ask(forged, "/any/7"), NO_KEY);
    hold("satisfy all, an address that is denied", &ask(good, "/all/7"), "403");
    hold("try_files and a named location", &ask(good, "/named/7"), REACHES);
    hold("an internal redirect to other requirements", &ask(good, "/moved/7"), "reaches as /orders/7");
    hold("the same, with the client's own identity", &identity(ask(good, "/moved/7")), "reaches as /orders/7");
    hold(
        "an internal redirect to requirements that are not met",
        &ask(&keys.reports, "/moved/7"),
        "403 Bearer error=\"insufficient_scope\", scope=\"orders.read\"",
    );
    hold("limit_except, a method that is free", &ask(forged, "/writes/7").method("POST"), NO_KEY);
    hold("limit_except, with a key", &ask(good, "/writes/7").method("POST"), REACHES);
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), running.log());

    let seen = |question: Question| {
        let status = question.ask(&running).status;
        (status, running.application.seen())
    };
    let (status, requests) =
        seen(identity(ask(forged, "/any/7")).with("Authorization", "Bearer other").from("127.0.0.2"));
    assert_eq!((status, requests.len()), (200, 1), "satisfy any, by the address: {}", running.log());
    let names = ["x-api-key", "authorization", "x-bulla-app-id", "x-bulla-anything", "x-bulla-realm"];
    assert!(names.iter().all(|name| requests[0].all(name).is_empty()), "{:?}", requests[0]);

    let (status, requests) = seen(identity(ask(forged, "/open/7")));
    assert_eq!((status, requests.len()), (200, 1), "bulla off");
    assert_eq!(requests[0].all("x-api-key"), [forged.text.as_str()], "what is none of bulla's business stays");
    assert!(requests[0].all("x-bulla-app-id").is_empty() && requests[0].all("x-bulla-anything").is_empty());

    let (status, requests) = seen(identity(ask(forged, "/page/7")));
    assert_eq!((status, requests.len()), (200, 1), "error_page: {}", running.log());
    assert!(names.iter().all(|name| requests[0].all(name).is_empty()), "{:?}", requests[0]);

    let (status, requests) = seen(ask(good, "/kept/7"));
    assert_eq!((status, requests.len()), (200, 1));
    assert_eq!(requests[0].all("x-api-key"), [good.text.as_str()]);
    assert_eq!(requests[0].all("x-bulla-api-key-id"), [good.id.as_str()]);

    for target in ["/copied/7", "/asked/7"] {
        let (status, mut requests) = seen(ask(good, target));
        // nginx answers without waiting for a copy.
        until("the subrequest", &running, || {
            requests.extend(running.application.seen());
            requests.len() == 2
        });
        assert_eq!(status, 200, "{target}: {}", running.log());
        for request in &requests {
            assert_eq!((request.all("x-api-key"), request.all("x-bulla-api-key-id")), (vec![], vec![good.id.as_str()]));
        }
    }

    let gold = Key::new(&running.deployment.issue("live", &["--meta", "plan=gold"]));
    let (status, requests) = seen(ask(&gold, "/plan/7").with("X-Plan", "platinum"));
    assert_eq!((status, requests.len()), (200, 1));
    assert_eq!(
        (requests[0].all("x-plan"), requests[0].all("x-app")),
        (vec!["gold"], vec![gold.identity[0].1.as_str()])
    );

    let other = ["issue", "--json", "--realm", "live", "--app", "7c9e6679-7425-40de-944b-e07fc1f90ae7"];
    let other = Key::new(&running.deployment.run(&other).ok().json());
    let statuses = [(good, 200), (good, 429), (&keys.orders, 429), (&other, 200), (forged, 401), (forged, 401)];
    for (key, expected) in statuses {
        assert_eq!(seen(ask(key, "/limited/7")).0, expected, "limit_req by app: {}", running.log());
    }

    let told = || fs::read_to_string(running.folder().join("log-of-requests")).expect("the log of requests");
    let app = &good.identity[0].1;
    for line in [
        format!("/kept/7 200 {app} {} live orders.read reports.read -", good.id),
        "/login 200 - - - - seal".to_owned(),
        "/any/7 401 - - - - seal".to_owned(),
        "/any/7 200 - - - - several_credentials".to_owned(),
        "/open/7 200 - - - - -".to_owned(),
    ] {
        // nginx writes it when it has answered.
        until(&format!("the line {line:?}"), &running, || told().lines().any(|told| told == line));
    }
    assert!(!told().contains(&good.text) && !running.log().contains(&good.text), "a key in a log");
}

/// Asks all the time with a good and with a revoked key, while something happens; the statuses that should not have
/// been. A worker answers 503 where it has heard nothing of the feed within a second of its start.
fn under_traffic(running: &Running, good: &Question, revoked: &Question, happens: impl FnOnce()) -> Vec<u16> {
    let over = AtomicBool::new(false);
    let http = &running.http;
    let wrong = std::thread::scope(|scope| {
        let _stop = StopOnDrop(&over);
        let traffic = scope.spawn(|| {
            let mut wrong = Vec::new();
            while !over.load(Ordering::Relaxed) {
                for (question, expected) in [(good, 200), (revoked, 401)] {
                    let status = question.ask_at(http).status;
                    assert!(expected == 200 || status != 200, "a revoked key is let in");
                    wrong.extend(Some(status).filter(|status| ![expected, 503].contains(status)));
                }
            }
            wrong
        });
        happens();
        over.store(true, Ordering::Relaxed);
        traffic.join().expect("the traffic")
    });
    running.application.seen();
    wrong
}

/// The processes of a master's workers.
fn children(master: u32) -> BTreeSet<String> {
    let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap_or_default();
    children.split_whitespace().map(str::to_owned).collect()
}

fn signal(name: &str, process: &str) {
    programs::run(Command::new("kill").args([&format!("-{name}"), process]));
}

fn until(what: &str, running: &Running, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: {}", running.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A daemon, for nginx takes the signal of an upgrade only as one. It ends with the test.
struct Daemon(u32);

impl Daemon {
    fn start() -> (Running, Daemon, Keys) {
        let daemon = |command: &mut Command, folder: &Path| {
            let settings = ["-g", "daemon on; worker_processes 2;"];
            command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")).args(settings);
        };
        let running = Running::start_as(&NGINX_MODULE, daemon, &[], |_| {});
        // It listens before it has written that down.
        let file = running.folder().join("nginx.pid");
        let master = || fs::read_to_string(&file).ok().and_then(|id| id.trim().parse::<u32>().ok());
        until("the file with its id", &running, || master().is_some());
        let daemon = Daemon(master().expect("a number"));
        let keys = Keys::issue(&running.deployment);
        table::until_it_reaches(&running, &Question::new(&keys.good, "/orders/7").bearer());
        inside::all_report(&running, 2);
        (running, daemon, keys)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It leads a session, in which all workers and later masters are; they may have ended.
        let _ended = Command::new("pkill").args(["-KILL", "-s", &self.0.to_string()]).status();
    }
}

#[test]
fn workers_come_and_go_without_a_wrong_answer() {
    let (running, daemon, keys) = Daemon::start();
    let master = daemon.0;
    let good = Question::new(&keys.good, "/orders/7").bearer();
    let revoked = Question::new(&keys.revoked, "/orders/7").bearer();
    inside::revoke(&running, &keys.revoked);
    inside::refused_by_all(&running, &revoked);

    let wrong = under_traffic(&running, &good, &revoked, || {
        for _ in 0..3 {
            let before = children(master);
            signal("HUP", &master.to_string());
            until("a reload", &running, || {
                let now = children(master);
                now.len() == 2 && now.is_disjoint(&before)
            });
        }
    });
    assert_eq!(wrong, [] as [u16; 0], "while it was reloaded: {}", running.log());

    // A configuration that is wrong changes nothing.
    let file = running.folder().join("nginx.conf");
    let right = fs::read_to_string(&file).expect("the file");
    fs::write(&file, right.replace("realm:live,scope:orders.read", "realm:live,scope")).expect("written");
    let before = children(master);
    signal("HUP", &master.to_string());
    until("the refusal of a reload", &running, || running.log().contains("is not `name:value`"));
    assert_eq!(under_traffic(&running, &good, &revoked, || ()), [] as [u16; 0]);
    assert_eq!(children(master), before);
    fs::write(&file, right).expect("written");

    // A worker that dies takes its connections along, and the next one lets no revoked key in.
    let dead = before.first().expect("a worker").clone();
    under_traffic(&running, &good, &revoked, || {
        signal("KILL", &dead);
        until("a new worker", &running, || children(master).len() == 2 && !children(master).contains(&dead));
    });

    // Another binary takes over the sockets, as in an upgrade of nginx.
    let file = running.folder().join("nginx.pid");
    let read = || fs::read_to_string(&file).unwrap_or_default().trim().to_owned();
    let wrong = under_traffic(&running, &good, &revoked, || {
        signal("USR2", &master.to_string());
        until("the new master", &running, || read().parse().is_ok_and(|new| new != master && children(new).len() == 2));
        signal("QUIT", &master.to_string());
        until("the end of the old one", &running, || has_ended(&master.to_string()));
    });
    let new = read();
    signal("QUIT", &new);
    assert_eq!(wrong, [] as [u16; 0], "while it was upgraded: {}", running.log());
    until("the end", &running, || has_ended(&new));
    let log = running.log();
    assert!(!log.contains("bulla: panic") && !log.contains("refuses every request"), "{log}");
}

/// Whether a process is gone, or nobody has asked yet how it ended.
fn has_ended(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn what_fails_in_the_background_is_in_the_log_of_nginx() {
    let (mut running, _) = workers(&[]);
    running.kill_server();
    until("a line about the feed", &running, || running.log().contains("bulla: the feed: "));
    running.start_server();
    until("the line that it works again", &running, || running.log().contains("bulla: the feed: works again"));
    let export = running.edge().file("exports/live.export");
    let whole = fs::read(&export).expect("the export");
    fs::write(&export, "cut").expect("written");
    let master = running.process().id().to_string();
    signal("HUP", &master);
    until("the refusal of a reload", &running, || running.log().contains("[emerg]"));
    fs::write(&export, whole).expect("written");
}

#[test]
fn each_worker_is_in_the_fleet_by_a_name_that_it_keeps_over_reloads() {
    let (mut running, keys) = workers(&[]);
    let master = running.process().id();
    let names = |running: &Running| {
        let shown = running.server().admin.get("/v1/followers").json();
        let workers = shown["followers"].as_array().expect("a list").iter().filter(|one| one["role"] == "library");
        workers.map(|one| one["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    until("both workers", &running, || names(&running).len() == 2);
    let before = names(&running);
    assert!(before[0].ends_with(":1") && before[1].ends_with(":2"), "{before:?}");
    let old = children(master);
    signal("HUP", &master.to_string());
    until("a reload", &running, || children(master).len() == 2 && children(master).is_disjoint(&old));
    // The new ones have these names from their next report on, which the revocation makes them send.
    let revoked = running.deployment.run(&["revoke", &keys.revoked.id, "--wait=60s"]);
    assert!(revoked.ok().out.contains("reached  3 of 3 nodes and followers"), "{}", revoked.out);
    assert_eq!(names(&running), before, "{}", running.log());
}

#[test]
fn large_buffers_and_odd_headers() {
    let (running, keys) = workers(&[(
        "    map $request_uri",
        "    large_client_header_buffers 4 256k;\n    underscores_in_headers on;\n    ignore_invalid_headers off;\n    map $request_uri",
    )]);
    let long = "x".repeat(100 * 1024);
    let orders = || Question::new(&keys.good, "/orders/7");
    for (question, expected) in [
        (orders().with("Authorization", &format!("Bearer {long}")), 401),
        (orders().with("Authorization", &format!("Basic {long}")), 401),
        (orders().with("X-API-Key", &long), 401),
        (orders().bearer().with("X-Other", &long), 200),
    ] {
        assert_eq!(question.ask(&running).status, expected, "{}", running.log());
    }
    running.application.seen();
    // More of them than nginx keeps in one array, in all positions.
    for (before, between) in [(0, 0), (0, 40), (17, 1), (18, 1), (19, 1), (20, 1), (38, 3), (0, 1)] {
        let mut question = orders();
        for at in 0..before {
            question = question.with(&format!("X-Before-{at}"), "1");
        }
        for at in 0..25 {
            question = question.with("X-Bulla-App-Id", "root").with("x_bulla.realm", "root");
            if at < between {
                question = question.with(&format!("X-Between-{at}"), "1");
            }
        }
        let question = question.bearer().with("X_API_KEY", "root").with("X-After", "1");
        assert_eq!(question.ask(&running).status, 200, "{}", running.log());
        let seen = running.application.seen();
        let count = |name: &str| seen[0].headers.iter().filter(|(header, _)| header.starts_with(name)).count();
        let counted = [count("X-Before-"), count("X-Between-"), count("X-After")];
        assert_eq!(counted, [before, between.min(25), 1], "headers of others: {:?}", seen[0]);
        assert!(seen[0].all("authorization").is_empty() && seen[0].all("x-api-key").is_empty(), "{:?}", seen[0]);
        for (name, value) in &keys.good.identity {
            assert_eq!(seen[0].all(name), [value.as_str()], "{:?}", seen[0]);
        }
    }
}

#[test]
fn nginx_refuses_what_is_wrong_with_a_sentence() {
    for (change, said) in [
        (("    bulla_settings", "    # bulla_settings"), "needs \"bulla_settings FILE;\" in http"),
        (("bulla.toml;", "none.toml;"), "none.toml: "),
        (
            ("    bulla_settings ", "    bulla_settings a;\n    bulla_settings "),
            "\"bulla_settings\" directive is duplicate",
        ),
        (("bulla realm:live,scope:orders.read", "bulla off; bulla off"), "\"bulla\" directive is duplicate"),
        (
            ("bulla realm:live,scope:orders.read", "bulla realm:other"),
            "\"bulla\": the route requires the realm `other`",
        ),
        (("bulla realm:live,scope:orders.read", "bulla"), "invalid number of arguments in \"bulla\""),
    ] {
        Running::refused(&NGINX_MODULE, &[change], said);
    }
}

#[test]
fn only_what_nginx_needs_is_exported() {
    let library = NGINX_MODULE.inside.as_ref().expect("bulla is inside").verifies.build();
    let symbols = programs::run(Command::new("readelf").args(["--dyn-syms", "--wide"]).arg(&library));
    let exported: Vec<_> = symbols
        .lines()
        .filter_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [_, _, _, _, "GLOBAL" | "WEAK", _, section, name] if section != "UND" => Some(name),
            _ => None,
        })
        .collect();
    assert_eq!(BTreeSet::from_iter(exported), BTreeSet::from(["ngx_module_names", "ngx_modules"]));
}

#[test]
fn the_script_refuses_another_version() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join("src/core")).expect("a folder");
    fs::write(folder.path().join("src/core/nginx.h"), "#define NGINX_VERSION      \"1.9.9\"\n").expect("written");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut build = Command::new(root.join("keys/gateways/nginx/build"));
    let ended = programs::try_run(build.env("NGINX_SOURCE", folder.path()));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("are 1.9.9: a module fits one version only"), "{said}");
}
