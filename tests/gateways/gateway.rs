//! The gateways: how each starts, and where it does otherwise than the others.

use std::{path::Path, process::Command};

use crate::gateways::inside::Inside;

/// One gateway.
pub struct Gateway {
    pub program: &'static str,
    /// Where its files are, in docs/examples.
    pub examples: &'static str,
    pub files: &'static [&'static str],
    /// What it has inside, where it checks keys itself and asks nobody.
    pub inside: Option<Inside>,
    /// Whether it asks bulla on a Unix socket.
    pub socket: bool,
    /// Arguments and environment, with its files in this folder.
    pub prepare: fn(&mut Command, &Path),
    /// What it sends to the application for an identity header that is empty.
    pub empty: Empty,
    /// The arguments of curl for HTTP/2, with its files in this folder.
    pub http2: fn(&Path) -> Vec<String>,
    /// What a client gets while there is no bulla.
    pub without_bulla: &'static str,
    /// What it gets while bulla listens and does not answer, after seconds.
    pub hanging_bulla: &'static str,
    /// What it gets on a route whose requirements do not parse.
    pub mistaken_route: &'static str,
    /// Rows of the table in which it answers otherwise.
    pub differs: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy, PartialEq)]
pub enum Empty {
    LeftOut,
    Sent,
}

/// The answer of the route `/reports/`.
const REPORTS: &str = "403 Bearer error=\"insufficient_scope\", scope=\"reports.read\"";

pub fn without_tls(_: &Path) -> Vec<String> {
    vec!["--http2-prior-knowledge".to_owned()]
}

pub const NGINX: Gateway = Gateway {
    program: "nginx",
    examples: "gateways",
    files: &["nginx.conf"],
    inside: None,
    socket: false,
    prepare: |command, folder| {
        // One process, which is all that has to be ended.
        let settings = ["-g", "daemon off; master_process off;"];
        command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")).args(settings);
    },
    empty: Empty::LeftOut,
    http2: |folder| {
        let certificate = folder.join("gateway.pem").display().to_string();
        vec!["--http2".to_owned(), "--cacert".to_owned(), certificate]
    },
    without_bulla: "503",
    hanging_bulla: "503",
    mistaken_route: "503",
    differs: &[
        // It takes 8 KiB for a header, and Authorization once.
        ("a long header beside the key", "400"),
        ("a long header for a key", "400"),
        ("Authorization twice", "400"),
        // It keeps the challenge of a 401 alone.
        ("a missing scope", "403"),
    ],
};

pub const HAPROXY: Gateway = Gateway {
    program: "haproxy",
    examples: "gateways",
    files: &["haproxy.cfg", "bulla.lua"],
    inside: None,
    socket: true,
    prepare: |command, folder| {
        command.args(["-db", "-f"]).arg(folder.join("haproxy.cfg"));
    },
    empty: Empty::Sent,
    http2: without_tls,
    without_bulla: "503",
    hanging_bulla: "504",
    mistaken_route: "500",
    differs: &[],
};

pub const CADDY: Gateway = Gateway {
    program: "caddy",
    examples: "gateways",
    files: &["Caddyfile"],
    inside: None,
    socket: false,
    prepare: |command, folder| {
        command.env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
        command.args(["run", "--config"]).arg(folder.join("Caddyfile"));
    },
    empty: Empty::LeftOut,
    http2: without_tls,
    without_bulla: "502",
    hanging_bulla: "504",
    mistaken_route: "500",
    differs: &[],
};

pub const TRAEFIK: Gateway = Gateway {
    program: "traefik",
    examples: "gateways",
    files: &["traefik.yml", "traefik-routes.yml"],
    inside: None,
    socket: false,
    prepare: |command, folder| {
        command.arg("--configfile").arg(folder.join("traefik.yml"));
    },
    empty: Empty::Sent,
    http2: without_tls,
    without_bulla: "500",
    hanging_bulla: "500",
    mistaken_route: "500",
    differs: &[
        // It cleans paths before it looks for the route.
        ("/orders/../reports/", REPORTS),
        ("/orders//../reports/", REPORTS),
        ("/orders/%2e%2e/reports/", REPORTS),
        // It has no such route.
        ("/orders/..;/reports/", "404"),
        // HTTP/2 is the one that it does not pass on.
        ("another protocol in its place", "arrives, but the application is asked for Some(\"irc\")"),
    ],
};

pub const ENVOY_HTTP: Gateway = envoy(&["envoy-http.yaml"], "503", |command, folder| {
    command.arg("-c").arg(folder.join("envoy-http.yaml")).args(ENVOY);
});

pub const ENVOY_GRPC: Gateway = envoy(&["envoy-grpc.yaml"], "500", |command, folder| {
    command.arg("-c").arg(folder.join("envoy-grpc.yaml")).args(ENVOY);
});

pub const ENVOY: [&str; 7] = [
    "--concurrency",
    "1",
    "--disable-hot-restart",
    "--log-level",
    "warning",
    // Of access logs.
    "--file-flush-interval-msec",
    "50",
];

const fn envoy(
    files: &'static [&'static str],
    mistaken_route: &'static str,
    prepare: fn(&mut Command, &Path),
) -> Gateway {
    Gateway {
        program: "envoy",
        examples: "gateways",
        files,
        inside: None,
        socket: false,
        prepare,
        empty: Empty::Sent,
        http2: without_tls,
        without_bulla: "503",
        hanging_bulla: "503",
        mistaken_route,
        differs: &[
            // It looks at what Connection names.
            ("headers of the gateway, named for removal", "400"),
            // It passes on what its configuration names.
            ("another protocol in its place", "403"),
            // It cleans paths before it looks for the route, and the application gets the clean one.
            ("/orders/../reports/", REPORTS),
            ("/orders//../reports/", "reaches as /orders/reports/7"),
            ("/orders/%2e%2e/reports/", REPORTS),
            ("/orders/..;/reports/", REPORTS),
            ("/orders/..\\reports/", REPORTS),
        ],
    }
}
