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

    /// Keys of rows that the old system does not accept any more.
    fn ended(&self) -> Vec<String> {
        if self.value["ended"].is_array() { self.texts("ended") } else { Vec::new() }
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

    /// Puts the rows of a file of two and more, one on each line, in the opposite order.
    fn reverse(&self, deployment: &Deployment) {
        let text = self.text("rows");
        let (header, rows) =
            if self.text("format") == "csv" { text.split_once('\n').expect("rows") } else { ("", text) };
        let mut rows: Vec<&str> = rows.lines().collect();
        if rows.len() == self.texts("keys").len() + self.ended().len() {
            rows.reverse();
            fs::write(deployment.file(&self.rows()), format!("{header}\n{}\n", rows.join("\n"))).expect("written");
        }
    }

    pub(super) fn import(&self, deployment: &Deployment, more: &[&str]) -> Ran {
        self.import_to("live", deployment, more)
    }

    fn import_to(&self, realm: &str, deployment: &Deployment, more: &[&str]) -> Ran {
        let (rows, arguments) = (self.rows(), self.texts("arguments"));
        let mut all = vec!["keys", "import", &rows, "--realm", realm, "--json"];
        all.extend(arguments.iter().map(String::as_str));
        if self.value.get("secret").is_some() && !arguments.contains(&"--secret".to_owned()) {
            all.extend(["--secret", "old"]);
        }
        all.extend(more);
        deployment.run(&all)
    }
}

/// The key with another character in its middle, which is of the secret.
fn altered(key: &str) -> String {
    let mut chars: Vec<char> = key.chars().collect();
    let middle = chars.len() / 2;
    chars[middle] = if chars[middle] == 'a' { 'b' } else { 'a' };
    chars.into_iter().collect()
}

fn check(fixture: &Fixture) {
    let (name, deployment) = (&fixture.name, fixture.deployment());
    let (keys, ended) = (fixture.texts("keys"), fixture.ended());
    let rows = keys.len() + ended.len();
    let dry = fixture.import(&deployment, &["--try", "try.txt", "--dry-run"]);
    assert_eq!(dry.code, 0, "{name}: {}{}", dry.out, dry.err);
    let verified = |ran: &Ran| {
        let tried = ran.json()["tried"].as_array().expect("tried").clone();
        tried.iter().filter(|one| one["verified"] == true && one["line"].is_u64()).count()
    };
    assert_eq!((verified(&dry), &dry.json()["imported"]), (keys.len(), &json!(rows)), "{name}: {}", dry.out);
    let wet = fixture.import(&deployment, &["--try", "try.txt"]);
    assert_eq!((wet.code, &wet.json()["imported"]), (0, &json!(rows)), "{name}: {}{}", wet.out, wet.err);
    assert_eq!(wet.json()["ended"], ended.len(), "{name}: {}", wet.out);
    fixture.reverse(&deployment);
    let again = fixture.import(&deployment, &[]);
    assert_eq!(
        (again.code, &again.json()["unchanged"]),
        (0, &json!(rows)),
        "{name}, again, from the last to the first: {}{}",
        again.out,
        again.err
    );
    let server = Server::start(&deployment);
    for key in &keys {
        assert_eq!(verify(&server, key)["active"], true, "{name}: {key}");
        assert_eq!(deployment.run_with(&["verify", "-"], key).code, 0, "{name}: {key}");
    }
    let altered = keys.iter().map(|key| altered(key));
    let wrong = fixture.texts("wrong").into_iter().chain([format!("{}x", keys[0])]).chain(altered);
    for wrong in wrong.chain(ended.clone()) {
        assert_eq!(verify(&server, &wrong), json!({"active": false}), "{name}: {wrong}");
    }
    let last = keys.last().expect("a key");
    let revoked = deployment.run_with(&["revoke", "-", "--json"], last).ok().json();
    assert_eq!(revoked["state"], "revoked", "{name}: {revoked}");
    server.within("the revocation", |server| verify(server, last) == json!({"active": false}));
    let stored = deployment.store().bytes();
    for key in keys.iter().chain(&ended).filter(|key| key.len() >= 16) {
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
fn a_table_that_comes_again_under_another_flag_is_another_set() {
    let fixtures = Fixture::all();
    let fixture = fixtures.iter().find(|fixture| fixture.name == "litellm").expect("litellm");
    let (deployment, key) = (fixture.deployment(), fixture.texts("keys").remove(0));
    let numbers = |ran: Ran| ["imported", "unchanged", "in_other_sets"].map(|name| ran.ok().json()[name].clone());
    assert_eq!(numbers(fixture.import(&deployment, &[])), [1, 0, 0]);
    assert_eq!(numbers(fixture.import(&deployment, &["--prefix", ""])), [1, 0, 1], "another layout");
    assert_eq!(numbers(fixture.import_to("test", &deployment, &[])), [1, 0, 0], "another realm");
    assert_eq!(numbers(fixture.import_to("test", &deployment, &[])), [0, 1, 0]);
    let server = Server::start(&deployment);
    let in_realm = |realm: &str| {
        let answer = server.data.post("/v1/verify", &json!({"api_key": key, "realms": [realm]})).json();
        answer["active"] == true
    };
    assert!(in_realm("live") && in_realm("test"));
    let revoked = deployment.run_with(&["revoke", "-", "--json"], &key).ok().json();
    assert_eq!(revoked["also_revoked"].as_array().map(Vec::len), Some(2), "{revoked}");
    server.within("the revocation", |_| !in_realm("live") && !in_realm("test"));
}

#[test]
fn what_restricts_a_key_is_not_lost() {
    let fixtures = Fixture::all();
    let fixture = fixtures.iter().find(|fixture| fixture.name == "netbox").expect("netbox");
    let deployment = fixture.deployment();
    let rows = fixture.text("rows").replacen(",t,a,,7,", ",t,a,\"{10.0.0.0/8,192.0.2.1/32}\",7,", 1);
    assert_ne!(rows, fixture.text("rows"));
    fs::write(deployment.file(&fixture.rows()), rows).expect("written");
    let refused = fixture.import(&deployment, &[]);
    let summary = refused.json();
    assert_eq!((refused.code, &summary["imported"], &summary["reasons"]), (1, &json!(1), &json!({"restricted": 1})));
    assert!(refused.out.contains("--ignore") && !refused.out.contains("192.0.2.1"), "{}", refused.out);
    assert_eq!(fixture.import(&deployment, &["--ignore", "allowed_ips"]).ok().json()["imported"], 1);
}

/// Directus shows every token as the same asterisks: nobody gets access with them.
#[test]
fn rows_with_what_a_system_shows_in_place_of_keys_are_refused() {
    let fixtures = Fixture::all();
    let fixture = fixtures.iter().find(|fixture| fixture.name == "directus").expect("directus");
    let deployment = fixture.deployment();
    let masked = fixture.text("masked");
    assert!(masked.contains("\"**********\""), "{masked}");
    fs::write(deployment.file(&fixture.rows()), masked).expect("written");
    let refused = fixture.import(&deployment, &[]);
    let (summary, rows) = (refused.json(), masked.lines().count());
    assert_eq!((refused.code, &summary["imported"], &summary["reasons"]), (1, &json!(0), &json!({"key_masked": rows})));
    // Where a policy restricts its users to addresses, and somebody joins it.
    let joined = fixture.text("rows").replacen("\"role\":null", "\"ip_access\":\"192.0.2.0/24\"", 1);
    fs::write(deployment.file(&fixture.rows()), joined).expect("written");
    let summary = fixture.import(&deployment, &[]).json();
    assert_eq!((&summary["imported"], &summary["reasons"]), (&json!(rows - 1), &json!({"restricted": 1})));
}

#[test]
fn each_system_that_is_listed_has_a_fixture_and_a_row_in_the_document() {
    let listed = Deployment::new().run(&["keys", "import", "--from", "list", "--json"]).ok().json();
    let read = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("a page");
    let page = read("docs/IMPORT.md");
    let fixtures = Fixture::all();
    let systems = listed["systems"].as_array().expect("systems");
    let count = format!("{} systems", systems.len());
    for name in ["README.md", "docs/CHANGELOG.md"] {
        assert!(read(name).contains(&count), "{name} does not say {count}");
    }
    let of = |name: &str| systems.iter().find(|system| system["name"] == name).expect("a system");
    assert_eq!((&of("litellm")["prefix"], &of("litellm")["zone"]), (&json!("sk-"), &json!("UTC")));
    assert_eq!(of("better-auth")["prefix"], json!(null));
    let table = Deployment::new().run(&["keys", "import", "--from", "list"]).ok().out.clone();
    assert!(table.contains("PREFIX") && table.contains("glsa_"), "{table}");
    for system in systems {
        let name = system["name"].as_str().expect("a name");
        let is_of = |fixture: &&Fixture| fixture.texts("arguments").windows(2).any(|two| two == ["--from", name]);
        assert!(fixtures.iter().any(|fixture| is_of(&fixture)), "{name} has no fixture");
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{name} is not in docs/IMPORT.md"));
        let export = system["export"].as_str().expect("an export").replace('|', "\\|");
        assert!(row.contains(&export) || export.contains("docs/IMPORT.md"), "{name} is taken out otherwise there");
        for (needed, option) in [("secret", "--secret"), ("prefix_needed", "--prefix"), ("zone_needed", "--zone")] {
            assert_eq!(row.contains(&format!("`{option}`")), system[needed].is_string(), "{name}: {option}");
        }
    }
}
