//! Forward authentication with real gateways: each is started with the file that docs/GATEWAYS.md shows, in front of an
//! application that notes what reaches it, and answers the same questions (`table.rs`). A gateway that is not installed
//! fails its test.

mod answer;
pub mod application;
mod bodies;
mod clients;
mod document;
mod envoy_module;
mod feed;
mod gateway;
mod inside;
mod keys;
mod modules;
mod nginx;
mod outcome;
mod preflight;
mod question;
mod rate_limits;
mod running;
mod table;

use std::process::Command;

use crate::support::{edge::Edge, http::Http, process, programs};
use gateway::{CADDY, ENVOY_GRPC, ENVOY_HTTP, Gateway, HAPROXY, NGINX, TRAEFIK};
use keys::Keys;
use outcome::outcome;
use question::Question;
use running::Running;

#[test]
fn nginx() {
    table::hold(&NGINX);
}

#[test]
fn haproxy() {
    table::hold(&HAPROXY);
}

#[test]
fn haproxy_lets_nobody_in_after_an_error_in_lua() {
    let running = Running::start_with(&HAPROXY, &[("local own, asked", "error('broken') local own, asked")]);
    let keys = Keys::issue(&running.deployment);
    assert_eq!(outcome(&running, &Question::new(&keys.good, "/orders/7").bearer()), "404");
    process::wait_until("the error", &running.folder().join("log"), || running.log().contains("broken"));
}

#[test]
fn caddy() {
    table::hold(&CADDY);
}

#[test]
fn traefik() {
    table::hold(&TRAEFIK);
}

#[test]
fn envoy_over_http() {
    table::hold(&ENVOY_HTTP);
}

#[test]
fn envoy_checks_the_health_of_bulla_over_grpc() {
    envoy_checks_health(&ENVOY_GRPC, "grpc_health_check: {}");
}

#[test]
fn envoy_checks_the_health_of_bulla_over_http() {
    envoy_checks_health(&ENVOY_HTTP, "http_health_check: {path: /readyz}");
}

/// The same over HTTP/2, which the cluster of ext_authz over gRPC speaks.
#[test]
fn envoy_checks_the_health_of_bulla_over_http_2() {
    envoy_checks_health(&ENVOY_GRPC, "http_health_check: {path: /readyz, codec_client_type: HTTP2}");
}

/// Envoy asks this, notices that bulla ends, and that it is there again.
fn envoy_checks_health(gateway: &'static Gateway, check: &str) {
    const CLUSTER: &str = "    - name: bulla\n";
    let checks = format!(
        "      health_checks: [{{timeout: 1s, interval: 1s, no_traffic_interval: 1s, unhealthy_threshold: 1, \
         healthy_threshold: 1, {check}}}]\n      common_lb_config: {{healthy_panic_threshold: {{value: 0}}}}\n"
    );
    // Envoy tells of each endpoint whether it takes it for healthy.
    let admin = process::free_port();
    let admin_page = format!(
        "admin:\n  address: {{ socket_address: {{ address: 127.0.0.1, port_value: {admin} }} }}\n\nstatic_resources:\n"
    );
    let changes = [(CLUSTER, &*format!("{CLUSTER}{checks}")), ("static_resources:\n", &admin_page)];
    let mut running = Running::start_with(gateway, &changes);
    let keys = Keys::issue(&running.deployment);
    let passed = || {
        let page =
            Http::new(&format!("127.0.0.1:{admin}")).get("/stats?filter=cluster.bulla.health_check.success").body;
        page.trim().rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0)
    };
    let ask = |running: &Running| outcome(running, &Question::new(&keys.good, "/orders/7").bearer());
    let until = |running: &Running, expected: &str| {
        process::wait_until("envoy's check", &running.folder().join("log"), || ask(running) == expected);
    };
    until(&running, outcome::REACHES);
    process::wait_until("a check that passes", &running.folder().join("log"), || passed() > 0);
    running.kill_server();
    until(&running, "503");
    running.start_server();
    let before = passed();
    until(&running, outcome::REACHES);
    process::wait_until("a check that passes", &running.folder().join("log"), || passed() > before);
}

#[test]
fn envoy_over_grpc() {
    table::hold(&ENVOY_GRPC);
}

#[test]
fn bulla_inside_haproxy() {
    table::hold(&modules::HAPROXY);
    inside::hold(&modules::HAPROXY);
}

#[test]
fn bulla_inside_haproxy_wants_requirements() {
    let rule = "http-request bulla realm:live,scope:orders.read if { path_beg /orders/ }";
    Running::refused(&modules::HAPROXY, &[(rule, "http-request bulla")], "requirements are missing");
}

#[test]
fn bulla_inside_haproxy_by_lua() {
    table::hold(&modules::HAPROXY_BY_LUA);
    inside::hold(&modules::HAPROXY_BY_LUA);
}

#[test]
fn bulla_inside_haproxy_as_nobody() {
    let nobody = |edge: &Edge| {
        programs::run(Command::new("chown").args(["-R", "nobody"]).arg(edge.path()));
    };
    let user = [("global\n", "global\n    user nobody\n")];
    let running = Running::start_as(&modules::HAPROXY, modules::HAPROXY.prepare, &user, nobody);
    inside::hold_to_revocation(&running);
}

#[test]
fn bulla_inside_nginx() {
    table::hold(&modules::NGINX_MODULE);
    inside::hold(&modules::NGINX_MODULE);
}

#[test]
fn bulla_inside_nginx_by_lua() {
    table::hold(&modules::LUA_NGINX);
    inside::hold(&modules::LUA_NGINX);
}

#[test]
fn bulla_inside_envoy_by_lua() {
    table::hold(&modules::LUA_ENVOY);
    inside::hold(&modules::LUA_ENVOY);
}
