//! The same table in other shapes: columns in another order, other line ends, a broken quote, a pipe, another realm.
//! Nothing of it is lost without a word.

use std::{fs, process::Command, thread};

use serde_json::{Value, json};

use crate::support::{
    command::Ran,
    deployment::{APP, Deployment},
    imported::{KEY, import, row, sha256, verify},
    programs,
    server::Server,
};

fn numbers(ran: &Ran) -> [u64; 4] {
    ["imported", "unchanged", "corrected", "refused"].map(|name| ran.json()[name].as_u64().expect(name))
}

fn csv(deployment: &Deployment, text: &str, more: &[&str]) -> Ran {
    let own = ["keys", "import", "-", "--realm", "live", "--scheme", "sha256", "--format", "csv", "--json"];
    deployment.run_with(&[&own[..], more].concat(), text)
}

#[test]
fn one_table_is_the_same_in_every_shape() {
    let deployment = Deployment::new();
    let (one, two) = (sha256("one"), sha256("two"));
    let first = csv(&deployment, &format!("app_id,hash,name\n{APP},{one},\"a, b\"\n{APP},{two},\n"), &[]);
    assert_eq!((first.code, numbers(&first)), (0, [2, 0, 0, 0]), "{}", first.out);
    for (text, more) in [
        // Other orders of columns and rows, a mark of UTF-8, CRLF, no last line end, a note with line ends in it.
        (format!("\u{feff}name,hash,app_id\r\n,{two},{APP}\r\n\"a, b\",{one},{APP}"), &[][..]),
        (
            format!("hash,note,name,app_id\n{one},\"x\n\n\"\"y\"\"\",\"a, b\",{APP}\n{two},,,{APP}\n"),
            &["--ignore", "note"],
        ),
        // The app by an option, and with another flag.
        (format!("hash,name\n{one},\"a, b\"\n{two},\n"), &["--app", APP]),
        (format!("app_id,hash,name\n{APP},{one},\"a, b\"\n{APP},{two},\n"), &["--replace"]),
    ] {
        let again = csv(&deployment, &text, more);
        assert_eq!((again.code, numbers(&again)), (0, [0, 2, 0, 0]), "{text:?}: {}{}", again.out, again.err);
    }
    // A NUL is in no hash and in no name.
    let nul = csv(&deployment, &format!("app_id,hash,name\n{APP},{},a\0b\n{APP},a\0b,\n", sha256("three")), &[]);
    assert_eq!((nul.code, &nul.json()["reasons"]), (1, &json!({"name": 1, "digest": 1})), "{}", nul.out);
}

#[test]
fn a_quote_that_is_never_closed_is_no_end_of_the_table() {
    let deployment = Deployment::new();
    let rows = |note: &str| {
        format!(
            "app_id,hash,note\n{APP},{},\n{APP},{},{note}\n{APP},{},\n",
            sha256("one"),
            sha256("two"),
            sha256("three")
        )
    };
    for more in [&["--dry-run"][..], &[]] {
        let ran = csv(&deployment, &rows("\"17 inches"), &[&["--ignore", "note"], more].concat());
        assert_eq!((ran.code, numbers(&ran)), (1, [1, 0, 0, 1]), "{}", ran.out);
        let refused = &ran.json()["refusals"][0];
        assert_eq!((&refused["line"], &refused["reason"]), (&json!(3), &json!("open_quote")));
    }
    let whole = csv(&deployment, &rows("\"17\"\" inches\""), &["--ignore", "note"]);
    assert_eq!((whole.code, numbers(&whole)), (0, [2, 1, 0, 0]), "{}", whole.out);
}

#[test]
fn rows_in_a_pipe_are_tried_and_imported() {
    let deployment = Deployment::new();
    let pipe = deployment.file("rows");
    programs::run(Command::new("mkfifo").arg(&pipe));
    fs::write(deployment.file("my.key"), KEY).expect("written");
    let (to, text) = (pipe.clone(), format!("{}\n", row(&sha256(KEY), json!({}))));
    thread::spawn(move || fs::write(to, text));
    let pipe = pipe.to_string_lossy();
    let arguments = ["keys", "import", &pipe, "--realm", "live", "--scheme", "sha256", "--try", "my.key", "--json"];
    let ran = deployment.run(&arguments);
    assert_eq!((ran.code, numbers(&ran)), (0, [1, 0, 0, 0]), "{}{}", ran.out, ran.err);
    assert_eq!(ran.json()["tried"][0]["verified"], true);
}

#[test]
fn a_column_that_is_named_and_is_not_there_is_missed() {
    let deployment = Deployment::new();
    let named = ["--column", "revoked=is_dead"];
    let text = format!("app_id,hash,is_daed\n{APP},{},t\n", sha256("one"));
    let refused = csv(&deployment, &text, &[&named[..], &["--ignore", "is_daed"]].concat());
    assert!(
        refused.code != 0 && refused.err.contains("lacks the column that was named for `revoked`"),
        "{}",
        refused.err
    );
    let unknown = csv(&deployment, &text, &[]);
    assert!(unknown.code == 2 && unknown.err.contains("column 3 of the CSV header"), "{}", unknown.err);
    assert!(
        ["--column FIELD=COLUMN", "--ignore COLUMN"].iter().all(|fix| unknown.err.contains(fix)),
        "{}",
        unknown.err
    );
    let lacking = csv(&deployment, &format!("hash\n{}\n", sha256("one")), &["--app-from", "user_id"]);
    assert!(lacking.code == 2 && lacking.err.contains("named for the app ids"), "{}", lacking.err);
    // A row of JSON lines may lack a member; all rows may not.
    let rows = [row(&sha256("one"), json!({})), row(&sha256("two"), json!({}))];
    let own = ["--scheme", "sha256"];
    let warned = import(&deployment, &rows, &[&own[..], &named].concat()).ok().json()["warnings"].to_string();
    assert!(warned.contains("no row has the column") && warned.contains("revoked"), "{warned}");
    let some = [rows[0].clone(), row(&sha256("two"), json!({"is_dead": null}))];
    let silent = import(&deployment, &some, &[&own[..], &named].concat()).ok().json()["warnings"].to_string();
    assert!(!silent.contains("no row has the column"), "{silent}");
    for twice in [["--ignore", "is_dead"], ["--app-from", "is_dead"], ["--column", "name=is_dead"]] {
        let refused = import(&deployment, &rows, &[&own[..], &named, &twice].concat());
        assert!(refused.code != 0 && refused.err.contains("named twice"), "{}", refused.err);
    }
}

#[test]
fn a_key_that_another_realm_has_is_told_and_ends_in_both() {
    let deployment = Deployment::new();
    deployment.configure("[realms.live]\n", "[realms.live]\n[realms.staging]\n");
    let rows = format!("{}\n", row(&sha256(KEY), json!({})));
    let into = |realm: &str| {
        deployment.run_with(&["keys", "import", "-", "--realm", realm, "--scheme", "sha256", "--json"], &rows)
    };
    let told = |ran: &Ran| (ran.json()["in_other_realms"].clone(), ran.json()["warnings"].to_string());
    let first = into("staging");
    assert_eq!((first.code, told(&first).0), (0, Value::Null));
    let (count, warnings) = told(&into("live"));
    assert!(count == 1 && warnings.contains("in another realm"), "{count} {warnings}");
    let server = Server::start(&deployment);
    assert_eq!(verify(&server, KEY)["active"], true);
    let revoked = deployment.run_with(&["revoke", "-", "--json"], KEY).ok().json();
    assert_eq!(revoked["also_revoked"].as_array().map(Vec::len), Some(1), "{revoked}");
    server.within("the revocation", |server| verify(server, KEY) == json!({"active": false}));
}

#[test]
fn a_correction_tells_which_fields_it_changed() {
    let deployment = Deployment::new();
    let plain = ["--scheme", "sha256"];
    let full = json!({"scopes": ["read"], "expires_at": "2100-01-01T00:00:00Z", "name": "a"});
    import(&deployment, &[row(&sha256("one"), full.clone()), row(&sha256("two"), full)], &plain).ok();
    // A table without the columns of scopes and expiry.
    let bare = [row(&sha256("one"), json!({"name": "a"})), row(&sha256("two"), json!({"name": "b"}))];
    let listed = import(&deployment, &bare, &plain);
    assert_eq!((listed.code, numbers(&listed)), (1, [0, 0, 0, 2]), "{}", listed.out);
    for more in [&["--dry-run"][..], &[]] {
        let replaced = import(&deployment, &bare, &[&plain[..], &["--replace"], more].concat());
        assert_eq!((replaced.code, numbers(&replaced)), (0, [0, 0, 2, 0]), "{}", replaced.out);
        assert_eq!(replaced.json()["changed"], json!({"expires_at": 2, "name": 1, "scopes": 2}));
    }
}
