//! Tables of real systems, imported as they are stored: rows and keys were made by the packages themselves, see
//! `tests/imports/record`.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Value, json};

use crate::support::{command::Ran, deployment::Deployment, imported::verify, server::Server};

pub(super) struct Fixture {
    pub(super) name: String,
    value: Value,
}

impl Fixture {
    fn all() -> Vec<Fixture> {
        Self::all_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/imports/fixtures"))
    }

    pub(super) fn all_in(folder: &Path) -> Vec<Fixture> {
        let files = fs::read_dir(folder).expect("the fixtures").map(|file| file.expect("a file").path());
        let mut all: Vec<Fixture> = files
            .map(|path| Fixture {
                name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
                value: serde_json::from_str(&fs::read_to_string(&path).expect("a fixture")).expect("JSON"),
            })
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        serde_json::from_value(self.value[name].clone()).expect("texts")
    }

    fn text(&self, name: &str) -> &str {
        self.value[name].as_str().expect("a text")
    }

    /// A deployment with the old system's secret, the rows and the keys in files.
    pub(super) fn deployment(&self) -> Deployment {
        let deployment = Deployment::new();
        if let Some(secret) = self.value["secret"]["text"].as_str() {
            let file = deployment.file("old.key");
            fs::write(&file, secret).expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("private");
            deployment.configure("secrets = {}", "secrets = { old = \"file:old.key?encoding=text\" }");
        }
        fs::write(deployment.file(&self.rows()), self.text("rows")).expect("written");
        fs::write(deployment.file("try.txt"), self.texts("keys").join("\n")).expect("written");
        deployment
    }

    fn rows(&self) -> String {
        format!("rows.{}", self.text("format"))
    }

    pub(super) fn import(&self, deployment: &Deployment, more: &[&str]) -> Ran {
        let (rows, arguments) = (self.rows(), self.texts("arguments"));
        let mut all = vec!["keys", "import", &rows, "--realm", "live", "--json"];
        all.extend(arguments.iter().map(String::as_str));
        if self.value.get("secret").is_some() && !arguments.contains(&"--secret".to_owned()) {
            all.extend(["--secret", "old"]);
        }
        all.extend(more);
        deployment.run(&all)
    }
}

fn check(fixture: &Fixture) {
    let (name, deployment) = (&fixture.name, fixture.deployment());
    let (keys, rows) = (fixture.texts("keys"), fixture.texts("keys").len());
    let dry = fixture.import(&deployment, &["--try", "try.txt", "--dry-run"]);
    assert_eq!(dry.code, 0, "{name}: {}{}", dry.out, dry.err);
    let verified = |ran: &Ran| {
        let tried = ran.json()["tried"].as_array().expect("tried").clone();
        tried.iter().filter(|one| one["verified"] == true && one["line"].is_u64()).count()
    };
    assert_eq!((verified(&dry), &dry.json()["imported"]), (rows, &json!(rows)), "{name}: {}", dry.out);
    let wet = fixture.import(&deployment, &["--try", "try.txt"]);
    assert_eq!((wet.code, &wet.json()["imported"]), (0, &json!(rows)), "{name}: {}{}", wet.out, wet.err);
    let again = fixture.import(&deployment, &[]);
    assert_eq!(
        (again.code, &again.json()["unchanged"]),
        (0, &json!(rows)),
        "{name}, again: {}{}",
        again.out,
        again.err
    );
    let server = Server::start(&deployment);
    for key in &keys {
        assert_eq!(verify(&server, key)["active"], true, "{name}: {key}");
        assert_eq!(deployment.run_with(&["verify", "-"], key).code, 0, "{name}: {key}");
    }
    for wrong in fixture.texts("wrong").iter().chain([&format!("{}x", keys[0])]) {
        assert_eq!(verify(&server, wrong), json!({"active": false}), "{name}: {wrong}");
    }
    let stored = deployment.store().bytes();
    for key in keys.iter().filter(|key| key.len() >= 16) {
        assert!(!stored.windows(key.len()).any(|bytes| bytes == key.as_bytes()), "{name}: a key is in the store");
    }
    // A wrong key to try ends the import before its first row.
    let other = fixture.deployment();
    fs::write(other.file("try.txt"), &fixture.texts("wrong")[0]).expect("written");
    let refused = fixture.import(&other, &["--try", "try.txt"]);
    assert_eq!((refused.code, &refused.json()["imported"]), (1, &json!(0)), "{name}: {}", refused.out);
    assert_eq!(other.run(&["keys", "imports", "--json"]).ok().json()["sets"], json!([]), "{name}");
}

/// Half of the fixtures each, as there are two cores.
fn check_each(half: usize) {
    let all = Fixture::all();
    assert!(all.len() >= 40, "{} fixtures", all.len());
    all.iter().enumerate().filter(|(at, _)| at % 2 == half).for_each(|(_, fixture)| check(fixture));
}

#[test]
fn every_table_verifies_as_it_is_stored() {
    check_each(0);
}

#[test]
fn every_other_table_verifies_as_it_is_stored() {
    check_each(1);
}

/// Strapi advises a salt that reads as base64, and takes its text.
#[test]
fn a_secret_that_a_system_takes_as_a_text_is_not_decoded_by_default() {
    let fixture = Fixture::all().into_iter().find(|fixture| fixture.name == "strapi").expect("a fixture");
    let deployment = fixture.deployment();
    fs::write(deployment.file("old.key"), "MDEyMzQ1Njc4OWFiY2RlZg==").expect("written");
    deployment.configure("old.key?encoding=text", "old.key");
    let refused = fixture.import(&deployment, &[]);
    assert!(refused.code == 2 && refused.err.contains("?encoding=text"), "{} {}", refused.code, refused.err);
    deployment.configure("old.key", "old.key?encoding=base64");
    assert_eq!(fixture.import(&deployment, &["--dry-run"]).code, 0, "the file is said to be base64");
}

#[test]
fn each_system_that_is_listed_has_a_fixture_and_a_row_in_the_document() {
    let listed = Deployment::new().run(&["keys", "import", "--from", "list", "--json"]).ok().json();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/IMPORT.md")).expect("the page");
    let fixtures = Fixture::all();
    let systems = listed["systems"].as_array().expect("systems");
    assert!(systems.len() >= 28, "{listed}");
    for system in systems {
        let name = system["name"].as_str().expect("a name");
        let is_of = |fixture: &&Fixture| fixture.texts("arguments").windows(2).any(|two| two == ["--from", name]);
        assert!(fixtures.iter().any(|fixture| is_of(&fixture)), "{name} has no fixture");
        assert!(page.contains(&format!("| `{name}` |")), "{name} is not in docs/IMPORT.md");
    }
}
