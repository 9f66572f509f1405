//! The gateways with bulla inside: how each starts, and where it does otherwise than the others.

use std::{path::Path, process::Command};

use crate::gateways::{
    envoy_module,
    gateway::{ENVOY, ENVOY_HTTP, Empty, Gateway, NGINX, without_tls},
    inside::{Inside, Library, NO_START},
    outcome::REACHES,
    running::Running,
};
use crate::support::programs;

/// The module of `keys/gateways/haproxy`: its action, for HAProxy 2.6.
pub const HAPROXY: Gateway = Gateway {
    program: "haproxy",
    examples: "modules/haproxy",
    files: &["haproxy.cfg", "bulla.lua"],
    inside: Some(Inside {
        verifies: Library::Module("bulla-haproxy", "libbulla_haproxy.so"),
        processes: 1,
        prepare: |command, folder| {
            command.args(["-W", "-f"]).arg(folder.join("haproxy.cfg"));
        },
        reload: |running| signal(running, "USR2"),
    }),
    prepare: |command, folder| {
        command.args(["-db", "-f"]).arg(folder.join("haproxy.cfg"));
    },
    socket: false,
    empty: Empty::LeftOut,
    http2: without_tls,
    without_bulla: REACHES,
    hanging_bulla: REACHES,
    mistaken_route: NO_START,
    differs: &[],
};

/// The same by the converter, for every version of HAProxy.
pub const HAPROXY_BY_LUA: Gateway = Gateway {
    files: &["by-lua.cfg", "bulla.lua"],
    inside: Some(Inside {
        verifies: Library::Module("bulla-haproxy", "libbulla_haproxy.so"),
        processes: 1,
        prepare: |command, folder| {
            command.args(["-W", "-f"]).arg(folder.join("by-lua.cfg"));
        },
        reload: |running| signal(running, "USR2"),
    }),
    prepare: |command, folder| {
        command.args(["-db", "-f"]).arg(folder.join("by-lua.cfg"));
    },
    empty: Empty::Sent,
    mistaken_route: "503",
    ..HAPROXY
};

/// The module of `keys/gateways/nginx`.
pub const NGINX_MODULE: Gateway = Gateway {
    program: "nginx",
    examples: "modules/nginx",
    files: &["nginx.conf"],
    inside: Some(Inside {
        verifies: Library::Module("bulla-nginx", "libbulla_nginx.so"),
        processes: 2,
        // As root its workers are `nobody`, who may read nothing of the settings.
        prepare: |command, folder| {
            let settings = ["-g", "daemon off; worker_processes 2;"];
            command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")).args(settings);
        },
        reload: |running| signal(running, "HUP"),
    }),
    prepare: NGINX.prepare,
    socket: false,
    empty: Empty::LeftOut,
    http2: NGINX.http2,
    without_bulla: REACHES,
    hanging_bulla: REACHES,
    mistaken_route: NO_START,
    differs: LUA_NGINX.differs,
};

/// The C ABI, by its Lua module.
pub const LUA_NGINX: Gateway = Gateway {
    program: "nginx",
    examples: "modules/luajit",
    files: &["nginx.conf", "bulla.lua"],
    inside: Some(Inside {
        verifies: Library::Abi,
        processes: 1,
        prepare: |command, folder| {
            let settings = ["-g", "daemon off; user root;"];
            command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf")).args(settings);
        },
        reload: |running| signal(running, "HUP"),
    }),
    prepare: NGINX.prepare,
    socket: false,
    empty: Empty::LeftOut,
    http2: NGINX.http2,
    without_bulla: REACHES,
    hanging_bulla: REACHES,
    mistaken_route: NO_START,
    differs: &[
        // It takes 8 KiB for a header, and Authorization once.
        ("a long header beside the key", "400"),
        ("a long header for a key", "400"),
        ("Authorization twice", "400"),
    ],
};

/// The same in Envoy's own Lua filter.
pub const LUA_ENVOY: Gateway = Gateway {
    program: "envoy",
    examples: "modules/luajit",
    files: &["envoy.yaml", "bulla.lua"],
    inside: Some(Inside {
        verifies: Library::Abi,
        processes: 1,
        // Its configuration is one file, which it reads once: a new process takes over.
        prepare: envoy_module::first_of_two,
        reload: envoy_module::restart,
    }),
    prepare: lua_envoy,
    socket: false,
    empty: Empty::Sent,
    http2: without_tls,
    without_bulla: REACHES,
    hanging_bulla: REACHES,
    mistaken_route: "503",
    differs: ENVOY_HTTP.differs,
};

fn lua_envoy(command: &mut Command, folder: &Path) {
    command.arg("-c").arg(folder.join("envoy.yaml")).args(ENVOY);
}

fn signal(running: &mut Running, name: &str) {
    let id = running.process().id().to_string();
    programs::run(Command::new("kill").args([&format!("-{name}"), &id]));
}
