//! Browsers that ask beforehand whether a page may send a key (CORS): each gateway answers that itself, by the lines of
//! the page.

use std::{fs, path::Path};

use super::{
    gateway::{CADDY, ENVOY_HTTP, Gateway, HAPROXY, NGINX, TRAEFIK},
    keys::Keys,
    running::Running,
};

/// The first lines of a block of the page, and where they go in the gateway's file: behind this line, or before it.
struct Lines {
    begin: &'static str,
    anchor: &'static str,
    behind: bool,
}

const fn behind(begin: &'static str, anchor: &'static str) -> Lines {
    Lines { begin, anchor, behind: true }
}

const fn before(begin: &'static str, anchor: &'static str) -> Lines {
    Lines { begin, anchor, behind: false }
}

/// The block of the page that begins so.
fn block(page: &str, begin: &str) -> String {
    let at = page.find(&format!("```{begin}")).unwrap_or_else(|| panic!("the page has no block {begin:?}"));
    let block = &page[at..];
    let text = &block[block.find('\n').expect("a line") + 1..];
    text[..text.find("```").expect("its end")].to_owned()
}

fn hold(gateway: &'static Gateway, lines: &[Lines], more: &[(&str, &str)]) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/GATEWAYS.md");
    let page = fs::read_to_string(page).expect("the page");
    let changed: Vec<(&str, String)> = lines
        .iter()
        .map(|Lines { begin, anchor, behind }| {
            let text = block(&page, begin);
            (*anchor, if *behind { format!("{anchor}{text}") } else { format!("{text}{anchor}") })
        })
        .collect();
    let changes: Vec<(&str, &str)> =
        changed.iter().map(|(from, to)| (*from, to.as_str())).chain(more.iter().copied()).collect();
    let running = Running::start_with(gateway, &changes);
    let keys = Keys::issue(&running.deployment);
    // One that listens may still be reading its routes.
    let request = |headers: &[(&str, &str)]| running.http.request("POST", "/orders/7", headers, "").status;
    running.server().until("the routes", |_| request(&[("x-api-key", &keys.good.text)]) == 200);
    running.application.seen();
    let asks = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-api-key"),
    ];
    let answer = running.http.request("OPTIONS", "/orders/7", &asks, "");
    assert!([200, 204].contains(&answer.status), "{}: {} {}", gateway.program, answer.status, running.log());
    let told = |name: &str| answer.header(name).unwrap_or_default().to_ascii_lowercase();
    assert_eq!(told("access-control-allow-origin"), "https://app.example", "{}", gateway.program);
    assert!(told("access-control-allow-methods").contains("post"), "{}", gateway.program);
    assert!(told("access-control-allow-headers").contains("x-api-key"), "{}", gateway.program);
    assert!(running.application.seen().is_empty(), "{}: nobody is asked", gateway.program);
    // What follows needs a key as before.
    assert_eq!(request(&[asks[0], asks[1]]), 401, "{}", gateway.program);
    assert_eq!(request(&[asks[0], ("x-api-key", &keys.good.text)]), 200, "{}", gateway.program);
}

#[test]
fn each_gateway_answers_a_preflight_without_a_key() {
    hold(&NGINX, &[behind("nginx\n            # A browser", "        location /orders/ {\n")], &[]);
    hold(&HAPROXY, &[before("haproxy\n    # A browser", "    # The requirements of each route.")], &[]);
    hold(&CADDY, &[before("caddyfile\n\t\t# A browser", "\t\t# The requirements of each route.")], &[]);
    hold(
        &TRAEFIK,
        &[behind("yaml\n    # A browser", "  middlewares:\n")],
        &[("[bulla-orders, without-key]", "[preflight, bulla-orders, without-key]")],
    );
    let envoy = [
        behind("yaml\n                  # A browser", "                http_filters:\n"),
        behind("yaml\n                      # Whose pages", "                      domains: [\"*\"]\n"),
    ];
    hold(&ENVOY_HTTP, &envoy, &[]);
}
