//! Envoy's own rate limits and access logs, by what bulla says about a key.

use std::{fs, path::Path};

use crate::gateways::{
    gateway::{ENVOY_GRPC, Gateway},
    keys::Key,
    outcome::{REACHES, outcome},
    question::Question,
    running::Running,
    table::until_it_reaches,
};
use crate::support::process;

const ROUTER: &str = "                  - name: envoy.filters.http.router";
const STAT_PREFIX: &str = "                stat_prefix: gateway";

/// The page's filter, with three requests instead of a hundred, and a log of all that the key says.
pub fn hold(gateway: &'static Gateway, namespace: &str, more: &[(&str, &str)]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/gateways/envoy-rate-limit.yaml");
    let filter = fs::read_to_string(file).expect("the file of the page");
    let filter = filter.replace("max_tokens: 100,", "max_tokens: 3,").replace("fill: 100,", "fill: 3,");
    // None comes back while the test runs.
    let filter = filter.replace("fill_interval: 60s", "fill_interval: 6000s");
    let filter = filter.replace("envoy.filters.http.ext_authz", namespace);
    let indented: String = filter.lines().map(|line| format!("                  {line}\n")).collect();
    let log = format!(
        "{STAT_PREFIX}\n                access_log:\n                  - name: envoy.access_loggers.stdout\n                    \
         typed_config:\n                      \"@type\": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.\
         StdoutAccessLog\n                      log_format: {{ text_format_source: {{ inline_string: \"%RESPONSE_CODE% \
         %DYNAMIC_METADATA({namespace})%\\n\" }} }}"
    );
    let filters = format!("{indented}{ROUTER}");
    let changes = [&[(ROUTER, filters.as_str()), (STAT_PREFIX, log.as_str())], more].concat();
    let running = Running::start_with(gateway, &changes);
    let issue = |app: &str| {
        let text =
            "issue --json --realm live --scope orders.read --scope a.b --meta plan=gold --meta limit=20/hour --app";
        let arguments: Vec<_> = text.split(' ').chain([app]).collect();
        Key::new(&running.deployment.run(&arguments).ok().json())
    };
    let [one, another, other] = [
        "11111111-1111-4111-8111-111111111111",
        "11111111-1111-4111-8111-111111111111",
        "22222222-2222-4222-8222-222222222222",
    ]
    .map(issue);
    let ask = |key: &Key| outcome(&running, &Question::new(key, "/orders/7").bearer());
    until_it_reaches(&running, &Question::new(&one, "/orders/7").bearer());
    // Two keys of one app share its bucket, and another app has its own.
    assert_eq!([&another, &one, &another, &one].map(ask), [REACHES, REACHES, "429", "429"], "{}", running.log());
    assert_eq!([&other; 4].map(ask), [REACHES, REACHES, REACHES, "429"], "{}", running.log());
    let written = |line: &&str| line.starts_with("200 ") && line.contains(&other.id);
    process::wait_until("the access log", &running.folder().join("log"), || {
        running.log().lines().any(|line| written(&line))
    });
    let log = running.log();
    let line = log.lines().find(written).expect("a line");
    let said: serde_json::Value = serde_json::from_str(&line[4..]).expect("an object");
    let expected = serde_json::json!({
        "app_id": "22222222-2222-4222-8222-222222222222",
        "api_key_id": other.id,
        "realm": "live",
        "scopes": ["orders.read", "a.b"],
        "meta": {"plan": "gold", "limit": "20/hour"},
        "limit": {"requests_per_unit": 20, "unit": "HOUR"},
    });
    let rest = |name: &str| said[name] == expected[name];
    assert!(expected.as_object().expect("an object").keys().all(|name| rest(name)), "{said}, not {expected}");
    assert!(!log.contains(&one.text), "{log}");
}

#[test]
fn envoy_limits_apps_by_the_metadata_of_grpc() {
    hold(&ENVOY_GRPC, "envoy.filters.http.ext_authz", &[]);
}
