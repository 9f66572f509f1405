//! The command line: what each command prints, where, and with which exit code.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::{
    command::{bulla, finish, run},
    deployment::{APP, Deployment, altered},
    reference::Reference,
};

#[test]
fn an_error_of_a_file_names_it_once() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file"), "").expect("written");
    let refused = run(folder.path(), &["init", "file/x"]);
    assert!(refused.code == 2 && refused.err.contains("cannot create file/x: "), "{}", refused.err);
    let deployment = Deployment::on_file();
    for beside in ["bulla.db-wal", "bulla.db-shm"] {
        let _none = std::fs::remove_file(deployment.file(beside));
    }
    std::fs::write(deployment.file("bulla.db"), "not a store ".repeat(1_000)).expect("written");
    let refused = deployment.run(&["keys", "list"]);
    assert_eq!((refused.code, refused.err.matches("bulla.db").count()), (2, 1), "{}", refused.err);
}

#[test]
fn an_address_that_is_taken_is_told_with_its_setting() {
    let deployment = Deployment::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its number").to_string();
    let refused = deployment.run(&["serve", "--data-listen", &address, "--admin-listen", "127.0.0.1:0"]);
    let told = format!("cannot listen on {address}, which is data.listen: ");
    assert!(refused.code == 2 && refused.err.contains(&told), "{}", refused.err);
    assert!(refused.err.contains("another process has this address"), "{}", refused.err);
}

#[test]
fn init_makes_what_it_says_with_private_key_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = run(folder.path(), &["init", "deep/er", "--json"]);
    let made = made.ok().json();
    for field in ["config", "keyring", "store"] {
        assert!(folder.path().join(made[field].as_str().expect("a path")).is_file(), "{field}: {made}");
    }
    assert!(made["admin_api_key"].as_str().expect("a key").starts_with("bulla_"));
    assert_eq!(made.as_object().expect("an object").len(), 4);
    for file in ["master-1.key", "keyring-mac.key", "bulla.db"] {
        let mode = folder.path().join("deep/er").join(file).metadata().expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("deep/er/master-1.key")).expect("text").trim().len(), 44);
}

#[test]
fn init_overwrites_nothing() {
    let deployment = Deployment::on_file();
    let before = std::fs::read(deployment.file("master-1.key")).expect("the master key");
    let again = deployment.run(&["init"]);
    assert_eq!(again.code, 2);
    assert!(again.err.contains("overwrites nothing") && again.out.is_empty(), "{}", again.err);
    for file in ["bulla.toml", "keyring.toml", "bulla.db"] {
        std::fs::remove_file(deployment.file(file)).expect("removed");
        assert_eq!(deployment.run(&["init"]).code, 2, "without {file}");
        assert!(!deployment.file(file).exists(), "a refused init leaves nothing half made");
    }
    assert_eq!(std::fs::read(deployment.file("master-1.key")).expect("the master key"), before);

    // A link that leads nowhere is in the way, too.
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink("nothing", folder.path().join("pepper-1.key")).expect("a link");
    let refused = run(folder.path(), &["init", "."]);
    assert!(refused.code == 2 && refused.err.contains("pepper-1.key exists"), "{}", refused.err);
    assert!(!folder.path().join("bulla.toml").exists());
}

#[test]
fn init_refuses_a_variable_that_no_command_would_take() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, value) in [("BULLA_LOG__LEVLE", "debug"), ("BULLA_LOG__LEVEL", "loud")] {
        let refused = finish(bulla(folder.path()).args(["init", "new"]).env(name, value), "");
        assert!(refused.code == 2 && refused.err.contains(name), "{}", refused.err);
        assert!(!folder.path().join("new").exists(), "nothing is made");
    }
    let made = finish(bulla(folder.path()).args(["init", "new"]).env("BULLA_LOG__LEVEL", "debug"), "");
    assert!(made.code == 0 && folder.path().join("new/bulla.toml").exists(), "{}", made.err);
}

#[test]
fn init_takes_a_folder_and_no_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
    let id = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf";
    let edge = ["edge", "init", "--follow", "https://a:8181", "--keyring-id", id, "--feed-key", key, "--realm", "live"];
    for (name, arguments) in [("init", &["init"][..]), ("edge init", &edge)] {
        let typed = finish(bulla(folder.path()).args(arguments).args(["--config", "x/bulla.toml"]), "");
        assert!(typed.code == 64 && typed.err.contains(&format!("`bulla {name} DIR`")), "{}", typed.err);
        let set = finish(bulla(folder.path()).args(arguments).env("BULLA_CONFIG", "x/bulla.toml"), "");
        assert!(set.code == 64 && set.err.contains(&format!("(`bulla {name} .`)")), "{}", set.err);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is made");
    }
    // Where the folder is named, the variable is for other commands.
    let made = finish(bulla(folder.path()).args(["init", "new"]).env("BULLA_CONFIG", "x/bulla.toml"), "");
    assert!(made.code == 0 && folder.path().join("new/bulla.toml").exists(), "{}", made.err);
}

#[test]
fn an_issued_key_is_accepted_and_says_what_it_was_issued_with() {
    let deployment = Deployment::new();
    let issued = deployment.issue("live", &["--ttl", "90d", "--scope", "a", "--scope", "b", "--meta", "team=core"]);
    let fields: Vec<&str> = issued.as_object().expect("an object").keys().map(String::as_str).collect();
    let named = ["api_key", "api_key_id", "realm", "app_id", "version", "issued_at", "expires_at", "scopes", "meta"];
    assert_eq!(fields, named);
    let key = issued["api_key"].as_str().expect("the key");
    assert!(key.starts_with(issued["api_key_id"].as_str().expect("the id")), "the id is a literal prefix");

    let verified = deployment.run(&["verify", key, "--scope", "b", "--json"]);
    let verified = verified.ok().json();
    assert_eq!(verified["active"], true);
    for field in &named[1..] {
        assert_eq!(verified[field], issued[field], "{field}");
    }
    let by_stdin = deployment.run_with(&["verify", "-"], &format!("  {key}\n"));
    assert!(by_stdin.ok().out.starts_with("accepted\n"), "{}", by_stdin.out);
    assert!(!by_stdin.out.contains('\u{1b}'), "no colour but on a terminal");
    deployment.run_with(&["verify"], key).ok();
}

#[test]
fn a_rejected_key_is_exit_code_1_with_the_reason_for_the_operator() {
    let deployment = Deployment::new();
    let key = deployment.issue_text("live", &[]);
    let expired = deployment.issue_text("live", &["--cidr", "10.0.0.0/8"]);
    let other = deployment.issue_text("test", &[]);
    for (key, more, reason) in [
        (altered(&key, 60, '!'), vec![], "malformed"),
        (altered(&key, 59, if &key[59..60] == "a" { 'b' } else { 'a' }), vec![], "seal"),
        (altered(&key, key.len() - 1, if key.ends_with('0') { '1' } else { '0' }), vec![], "checksum"),
        (other.clone(), vec![], "realm"),
        (expired.clone(), vec!["--ip", "192.0.2.1"], "address"),
        (expired.clone(), vec![], "address"),
        (key.clone(), vec!["--scope", "x"], "scope"),
        ("".to_owned(), vec![], "malformed"),
        ("\u{fffd}".repeat(40), vec![], "checksum"),
    ] {
        let ran = deployment.run_with(&[&["verify", "-", "--json"], more.as_slice()].concat(), &key);
        assert_eq!(ran.code, 1, "{reason}: {}", ran.out);
        assert_eq!(ran.json()["active"], false);
        assert_eq!(ran.json()["reason"], reason, "{key}");
    }
    deployment.run_with(&["verify", "-", "--realm", "test"], &other).ok();
    deployment.run_with(&["verify", "-", "--ip", "::ffff:10.1.2.3"], &expired).ok();
}

#[test]
fn a_key_with_a_secret_half_is_exit_code_2() {
    let deployment = Deployment::new();
    let keyring = deployment.reference_keyring();
    let mut question = keyring["versions"][0].clone();
    for (name, value) in [
        ("op", json!("issue")),
        ("keyring_id", keyring["keyring_id"].clone()),
        ("realm", json!("live")),
        ("app_id", json!(APP)),
        ("issued_at", json!(1_795_000_000)),
        ("expires_at", json!(0)),
        ("claims", json!("a13a00010001f5")),
        ("secret", json!("80".repeat(32))),
    ] {
        question[name] = value;
    }
    let key = Reference::start().ask(&question)["api_key"].as_str().expect("a key").to_owned();
    let ran = deployment.run_with(&["verify", "-", "--json"], &key);
    assert_eq!((ran.code, ran.json()["reason"].clone()), (1, json!("secret_wrong")), "there is no hash of it");
    let text = std::fs::read_to_string(deployment.file("bulla.toml")).expect("the configuration");
    let begin = text.find("[pepper]").expect("a pepper");
    let end = begin + text[begin..].find("[secret]").expect("its end");
    deployment.configure(&text[begin..end], "");
    let ran = deployment.run_with(&["verify", "-", "--json"], &key);
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert_eq!(ran.json(), json!({"active": false, "error": "could_not_tell", "reason": "secret_unchecked"}));
}

#[test]
fn what_cannot_be_issued_is_refused_with_a_sentence() {
    let deployment = Deployment::new();
    for (arguments, told) in [
        (vec!["--ttl", "90"], "write `90d`"),
        (vec!["--ttl", "0s"], "not after now"),
        (vec!["--ttl", "90000d"], "2106"),
        (vec!["--expires-at", "tomorrow"], "RFC 3339"),
        (vec!["--expires-at", "2020-01-01T00:00:00Z"], "not after now"),
        (vec!["--cidr", "10.0.0.1/8"], "bits are set after the prefix"),
        (vec!["--scope", "a b"], "scope token"),
        (vec!["--scope", ""], "empty"),
        (vec!["--meta", "novalue"], "NAME=VALUE"),
        (vec!["--audience", &"x".repeat(300)], "may take 240"),
        (vec!["--realm", "nosuch"], "[realms.nosuch]"),
        (vec!["--realm", "Live"], "a realm is 2 to 24 characters"),
        (vec!["--app", "7"], "UUID"),
    ] {
        let mut all = vec!["issue"];
        if !arguments.contains(&"--realm") {
            all.extend(["--realm", "live"]);
        }
        if !arguments.contains(&"--app") {
            all.extend(["--app", APP]);
        }
        all.extend(&arguments);
        let ran = deployment.run(&all);
        // The command's parser knows some of it; the rest is the realm's and the service's to judge.
        let parsed = ["NAME=VALUE", "a realm is 2 to 24 characters", "UUID"].contains(&told);
        assert_eq!(ran.code, if parsed { 64 } else { 2 }, "{arguments:?}: {}", ran.out);
        assert!(ran.out.is_empty());
        let told = told == "UUID" && ran.err.to_lowercase().contains("uuid") || ran.err.contains(told);
        assert!(told, "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn inspect_needs_no_deployment() {
    let deployment = Deployment::new();
    let issued = deployment.issue("live", &[]);
    let key = issued["api_key"].as_str().expect("a key");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let shown = run(elsewhere.path(), &["inspect", key, "--json"]);
    let shown = shown.ok().json();
    assert_eq!(shown["api_key_id"], issued["api_key_id"]);
    assert_eq!((&shown["realm"], &shown["version"], &shown["has_secret"]), (&json!("live"), &json!(1), &json!(false)));
    assert!(!shown.to_string().contains(key), "it shows the id, not the key");
    let wrong = run(elsewhere.path(), &["inspect", "live_nothing", "--json"]);
    assert_eq!((wrong.code, wrong.json()), (1, json!({"well_formed": false, "reason": "malformed"})));
}

#[test]
fn the_keyring_is_shown_and_checked() {
    let deployment = Deployment::new();
    let shown = deployment.run(&["keyring", "show", "--json"]);
    let shown = shown.ok().json();
    assert_eq!(shown["keyring_id"].as_str().expect("hex").len(), 32);
    assert_eq!(shown["versions"][0]["state"], "active");
    let checked = deployment.run(&["keyring", "check", "--json"]);
    assert_eq!(checked.ok().json()["served"][0]["source"], "file:master-1.key");
    let table = deployment.run(&["keyring", "show"]);
    assert!(table.ok().out.contains("VERSION  STATE   SUITE"), "{}", table.out);
}

#[test]
fn a_keyring_is_made_for_a_written_configuration() {
    let deployment = Deployment::new();
    let before = deployment.run(&["keyring", "show", "--json"]).json();
    let refused = deployment.run(&["keyring", "init", "--source", "file:master-1.key"]);
    assert!(refused.code == 2 && refused.err.contains("nothing is overwritten"), "{}", refused.err);
    std::fs::remove_file(deployment.file("keyring.toml")).expect("removed");
    let init = ["keyring", "init", "--source", "file:master-1.key", "--suite", "xaes-256-gcm", "--json"];
    let lost = deployment.run(&init);
    let id = before["keyring_id"].as_str().expect("an id");
    assert!(lost.code == 2 && lost.err.contains(id) && lost.err.contains("backup"), "{}", lost.err);
    assert!(!deployment.file("keyring.toml").exists(), "nothing was made");
    let made = deployment.run(&[&init[..], &["--force"]].concat()).ok().json();
    assert_eq!(made["versions"][0]["suite"], "xaes-256-gcm");
    assert_ne!(made["keyring_id"], before["keyring_id"]);
    let key = deployment.issue_text("live", &[]);
    deployment.run_with(&["verify", "-"], &key).ok();
}

#[test]
fn mistakes_in_the_configuration_are_named() {
    let deployment = Deployment::new();
    let missing = deployment.run(&["issue", "--realm", "live", "--app", APP, "--config", "nowhere.toml"]);
    assert_eq!(missing.code, 2);
    assert!(missing.err.contains("nowhere.toml") && missing.err.contains("bulla init"), "{}", missing.err);
    deployment.configure("[data]", "[data]\nlissten = \"x\"");
    let unknown = deployment.run(&["serve"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("lissten") && unknown.err.contains("line "), "{}", unknown.err);
    let other = Deployment::new();
    let named = finish(bulla(deployment.path()).args(["doctor"]).env("BULLA_CONFIG", other.file("bulla.toml")), "");
    assert_eq!(named.code, 0, "BULLA_CONFIG names the configuration: {}", named.out);
    let overridden = finish(bulla(other.path()).args(["serve"]).env("BULLA_DATA__LISTEN", "0.0.0.0:0"), "");
    assert_eq!(overridden.code, 2);
    assert!(overridden.err.contains("allow_plaintext"), "{}", overridden.err);
    let by_argument = other.run(&["serve", "--data-listen", "0.0.0.0:0"]);
    assert_eq!(by_argument.code, 2, "an argument is held to the same rule");
}

#[test]
fn help_and_completions_know_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let help = run(folder.path(), &["--help"]).ok().out.clone();
    let script = run(folder.path(), &["completions", "bash"]).ok().out.clone();
    for command in [
        "quickstart",
        "init",
        "serve",
        "status",
        "doctor",
        "issue",
        "verify",
        "inspect",
        "revoke",
        "reveal",
        "keys",
        "keyring",
        "audit",
        "completions",
        "help",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} in {help}");
        assert!(script.contains(command), "{command} in the completions");
    }
    let verify = run(folder.path(), &["verify", "--help"]).ok().out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(verify.contains("a key on the command line shows in `ps`"), "{verify}");
    assert_eq!(run(folder.path(), &["--version"]).ok().out, format!("bulla {}\n", env!("CARGO_PKG_VERSION")));
    for heading in ["Start:", "API keys:", "Options:", "Exit codes:", "Environment:"] {
        assert!(help.contains(&format!("\n{heading}\n")), "{heading} in {help}");
    }
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    assert_eq!(run(folder.path(), &["nonsense"]).code, 64);
    assert_eq!(run(folder.path(), &[]).code, 64, "no command is none");
    assert_eq!(run(folder.path(), &["help"]).code, 0);
}

#[test]
fn a_mistyped_command_is_answered_with_the_right_one() {
    let folder = tempfile::tempdir().expect("a folder");
    for (wrong, right) in [
        (vec!["list"], "`bulla keys list`"),
        (vec!["reroll-secret"], "`bulla keys reroll-secret`"),
        (vec!["stage"], "`bulla keyring stage`"),
        (vec!["keyring", "list"], "`bulla keys list`"),
        (vec!["keys", "doctor"], "`bulla doctor`"),
        (vec!["delete"], "`bulla revoke` does that"),
        (vec!["rotate"], "`bulla keyring stage` and `bulla keyring activate` do that"),
        (vec!["isue"], "'issue'"),
        (vec!["keys", "lst"], "'list'"),
        (vec!["revoke", "live_000008TjPJsKU3Hu4SJ9qc", "--wait", "2s"], "`--wait=2s`"),
        (vec!["keys", "suspend", "--wait", "2s", "live_000008TjPJsKU3Hu4SJ9qc"], "`--wait=2s`"),
    ] {
        let ran = run(folder.path(), &wrong);
        assert_eq!(ran.code, 64, "{wrong:?}: {}", ran.out);
        assert!(ran.err.contains(right), "{wrong:?}: {}", ran.err);
    }
    // A command that does not wait says that it has no such option.
    let ran = run(folder.path(), &["keys", "list", "--wait", "2s"]);
    assert!(ran.code == 64 && !ran.err.contains("--wait=2s"), "{}", ran.err);
}

#[test]
fn the_usage_of_an_error_has_no_option_that_the_environment_sets() {
    let deployment = Deployment::new();
    let environment =
        [("BULLA_CONFIG", "./bulla.toml"), ("BULLA_CA_FILE", "ca.pem"), ("BULLA_PROXY", "http://proxy:1")];
    for (arguments, usage) in [
        (&["issue"][..], "Usage: bulla issue --realm <REALM> --app <UUID>\n"),
        (&["revoke"], "Usage: bulla revoke <ID|KEY|->\n"),
        (&["keys", "reroll"], "Usage: bulla keys reroll <ID|KEY|->\n"),
        (&["fleet", "forget"], "Usage: bulla fleet forget <NAME>\n"),
    ] {
        let ran = deployment.run_in(arguments, &environment);
        assert!(ran.code == 64 && ran.err.contains(usage), "{arguments:?}: {}", ran.err);
        assert_eq!(deployment.run(arguments).err, ran.err, "{arguments:?}");
    }
    let wrong = deployment.run_in(&["keys", "list"], &[("BULLA_PROXY", "no proxy")]);
    assert!(wrong.code == 64 && wrong.err.contains("a proxy is http://HOST:PORT"), "{}", wrong.err);
}

#[test]
fn everything_about_keys_is_also_under_keys() {
    let deployment = Deployment::new();
    let issued = deployment.run(&["keys", "issue", "--realm", "live", "--app", APP, "--json"]).ok().json();
    let (key, id) = (issued["api_key"].as_str().expect("a key"), issued["api_key_id"].as_str().expect("an id"));
    assert_eq!(deployment.run_with(&["keys", "verify", "-"], key).ok().out, deployment.run_with(&["verify"], key).out);
    assert_eq!(deployment.run_with(&["keys", "inspect"], key).ok().out, deployment.run_with(&["inspect"], key).out);
    assert_eq!(deployment.run(&["keys", "ls"]).ok().out, deployment.run(&["keys", "list"]).out);
    deployment.run(&["keys", "revoke", id]).ok();
    assert_eq!(deployment.run_with(&["verify", "-"], key).code, 1);
}

#[test]
fn commands_work_against_a_server() {
    let deployment = Deployment::new();
    let server = crate::support::server::Server::start(&deployment);
    let key_file = deployment.secret_file("admin.key", &format!("{}\n", deployment.admin_key));
    let elsewhere = tempfile::tempdir().expect("a folder");
    let admin = format!("http://{}", server.admin.address);
    let data = format!("http://{}", server.data.address);
    let ask = |arguments: &[&str], input: &str| {
        finish(bulla(elsewhere.path()).args(arguments).env("BULLA_ADMIN_KEY_FILE", &key_file), input)
    };
    let issued = ask(&["issue", "--realm", "live", "--app", APP, "--scope", "a", "--server", &admin, "--json"], "");
    let issued = issued.ok().json();
    let key = issued["api_key"].as_str().expect("a key");
    ask(&["verify", "-", "--scope", "a", "--server", &data], key).ok();
    assert_eq!(ask(&["verify", "-", "--scope", "b", "--server", &data], key).code, 1);
    assert_eq!(ask(&["keyring", "show", "--json", "--server", &admin], "").ok().json()["active"], 1);
    let refused = run(elsewhere.path(), &["issue", "--realm", "live", "--app", APP, "--server", &admin]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("BULLA_ADMIN_KEY_FILE"), "{}", refused.err);
    let nobody = ask(&["verify", "-", "--server", "http://127.0.0.1:9"], key);
    assert_eq!(nobody.code, 2, "a server that does not answer is no verdict");
}
