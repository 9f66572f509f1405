//! RabbitMQ, whose HTTP backend asks the service itself.

use std::{fs, path::Path, process::Command};

use super::stage::Stage;
use crate::support::{
    deployment::{APP, Deployment},
    process::{self, Process},
    programs,
    reference::python,
};

/// The server's own script; Debian's changes the user.
fn program() -> std::path::PathBuf {
    let versions = fs::read_dir("/usr/lib/rabbitmq/lib").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("sbin/rabbitmq-server")).find(|script| script.exists());
    found.expect("RabbitMQ is installed: tests/parts does that")
}

#[test]
fn a_client_of_rabbitmq_logs_in_with_a_key() {
    let mut stage = Stage::new(Deployment::new());
    let (here, port) = (stage.folder().to_owned(), stage.port);
    let file = stage.place("rabbitmq.conf", &[("5672", &port.to_string())]);
    fs::write(here.join("enabled_plugins"), "[rabbitmq_auth_backend_http].\n").expect("written");
    // Erlang's daemon would outlive the test.
    let (epmd_port, distribution) = (process::free_port(), process::free_port());
    let epmd = Process::start(
        &programs::find("epmd"),
        |command| {
            command.args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"]);
        },
        &here.join("epmd.log"),
    );
    process::wait_until("epmd", &here.join("epmd.log"), || process::listens(epmd_port));
    stage.start(&program(), port, |command| {
        command.env("HOME", &here).env("RABBITMQ_CONFIG_FILE", file.with_extension("")).env("RABBITMQ_LOGS", "-");
        command.env("RABBITMQ_MNESIA_BASE", here.join("mnesia")).env("RABBITMQ_PID_FILE", here.join("pid"));
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", here.join("enabled_plugins"));
        command.env("RABBITMQ_NODENAME", format!("bulla{port}@localhost")).env("ERL_EPMD_PORT", epmd_port.to_string());
        command.env("RABBITMQ_DIST_PORT", distribution.to_string());
        // Without it the script stays, and what it started would outlive it.
        command.env("RUNNING_UNDER_SYSTEMD", "1");
        command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 1:1 +SDcpu 1:1 +SDio 1");
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/rabbitmq.py");
    let say = |user: &str, key: &str| {
        programs::run(
            Command::new(python()).arg(&script).env("PORT", port.to_string()).env("LOGIN", user).env("KEY", key),
        )
    };
    let (good, poor) = (stage.issue(&["--scope", "amqp", "--meta", "username=alice"]), stage.issue(&[]));
    for user in ["alice", APP, &good] {
        assert_eq!(say(user, &good), "a message", "{user}: {}", stage.log());
    }
    for (user, key) in [("bob", good.as_str()), ("alice", &poor), (APP, &poor), ("alice", "wrong"), (&poor, "")] {
        assert_eq!(say(user, key), "refused", "{user}: {}", stage.log());
    }
    stage.revoke(&good);
    assert_eq!(say("alice", &good), "refused", "{}", stage.log());
    drop(stage);
    drop(epmd);
}
