//! Dovecot: a mail user logs in with a key.

use std::{fs, process::Command};

use super::stage::Stage;
use crate::support::{deployment::Deployment, programs};

#[test]
fn a_mail_user_logs_in_with_a_key() {
    let mut stage = Stage::new(Deployment::new());
    let reader = stage.deployment.issue_text("bulla", &["--scope", "read"]);
    let (here, port) = (stage.folder().display().to_string(), stage.port);
    stage.place("dovecot-bulla.conf.ext", &[("BULLA_API_KEY", &reader)]);
    let run = format!("{here}/run/");
    let file = stage.place(
        "dovecot.conf",
        &[
            ("/run/dovecot/", &run),
            ("/etc/dovecot/", &format!("{here}/")),
            ("uid=vmail gid=vmail", "uid=65534 gid=65534"),
        ],
    );
    // A port shows that it is up; the page's file serves logins alone.
    let listens =
        format!("service auth {{\n  inet_listener {{\n    address = 127.0.0.1\n    port = {port}\n  }}\n}}\n");
    fs::write(&file, fs::read_to_string(&file).expect("the file") + &listens).expect("written");
    stage.start(&Stage::find("dovecot"), port, |command| {
        command.arg("-F").arg("-c").arg(&file);
    });
    let login = |user: &str, key: &str| {
        let mut doveadm = Command::new(programs::find("doveadm"));
        let tried =
            programs::try_run(doveadm.arg("-c").arg(&file).args(["auth", "test", "-x", "service=imap", user, key]));
        tried.status.success()
    };
    let (alice, other) = (stage.issue(&["--meta", "username=alice"]), stage.issue(&["--meta", "username=bob"]));
    // Its sockets may come after the port.
    stage.server.until("the first login", |_| login("alice", &alice));
    for (user, key) in [("alice", other.as_str()), ("bob", &alice), ("alice", "wrong")] {
        assert!(!login(user, key), "{user}: {}", stage.log());
    }
    stage.revoke(&alice);
    assert!(!login("alice", &alice), "{}", stage.log());
}
