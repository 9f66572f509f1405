//! The C ABI, called from C and from Python with every file of `tests/vectors`; and a gate that lives, in `gate.rs`.

mod allocation;
mod gate;

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use bulla::{
    ApiKey, IssueRequest, Issuer,
    claims::Claims,
    keyring::{Keyring, Suite, VersionState},
};
use serde_json::Value;

use crate::{
    feed_server::{FeedServer, public_key},
    fixture::{self, Folder, MASTER_7, Version},
    vectors::{self, Vector},
};

/// A worked example; to a feed in a test it is a password like any other.
const FEED_API_KEY: &str =
    "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";

const PROGRAM: &str = "tests/library/capi/verify.c";

/// The shared library and the static one, built as the header says.
static LIBRARIES: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = std::env::current_exe().expect("this program");
    let target = test.ancestors().nth(3).expect("the target folder");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["rustc", "--quiet", "--package", "bulla", "--lib", "--features", "capi"]);
    cargo.args(["--crate-type", "cdylib,staticlib", "--target-dir"]).arg(target);
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo");
    assert!(built.success());
    target.join("debug")
});

/// A vector's keyring on disk, and the line that the programs read. Both programs say the same in the same form.
struct Case {
    name: String,
    vector: Vector,
    _folder: Folder,
    line: String,
}

fn cases() -> Vec<Case> {
    let cases = vectors::files().into_iter().map(|file| {
        let vector = vectors::read(&file);
        let folder = vectors::folder(&vector);
        let texts = |texts: &[String]| texts.iter().map(hex::encode).collect::<Vec<_>>().join(",");
        let optional = |text: &Option<String>| text.as_ref().map_or_else(|| "-".to_owned(), hex::encode);
        let fields = [
            folder.path("").display().to_string(),
            texts(&vector.realms),
            texts(&vector.scopes),
            optional(&vector.audience),
            optional(&vector.ip),
            vector.now.to_string(),
            hex::encode(&vector.api_key),
        ];
        Case { name: file.display().to_string(), line: fields.join("\t"), _folder: folder, vector }
    });
    cases.collect()
}

/// What the file says, as the programs print it.
fn expected(vector: &Vector) -> String {
    let Vector { expect, api_key, .. } = vector;
    let text = |name: &str| expect[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| expect[name].as_u64().unwrap_or_default().to_string();
    let status = match expect["verdict"].as_str() {
        Some("accepted") => "0",
        Some("rejected") => "1",
        Some("could_not_tell") => "2",
        other => panic!("{other:?}"),
    };
    let app_id = if status == "0" { text("app_id").replace('-', "") } else { "0".repeat(32) };
    let scopes = expect["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
    let id = api_key.parse::<ApiKey>();
    let fields = [
        status.to_owned(),
        text("reason"),
        text("api_key_id"),
        text("realm"),
        number("version"),
        app_id,
        number("issued_at"),
        number("expires_at"),
        scopes.join(" "),
        if id.is_ok() { "0" } else { "1" }.to_owned(),
        id.map(|key| key.id().to_string()).unwrap_or_default(),
    ];
    fields.join("\t")
}

fn says_what_the_vectors_say(program: &mut Command) {
    let cases = cases();
    assert!(cases.len() >= 200, "only {} files were found", cases.len());
    let input: String = cases.iter().map(|case| case.line.clone() + "\n").collect();
    let mut running = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("should start");
    let mut stdin = running.stdin.take().expect("a pipe");
    // Neither of the two is to wait for the other to read.
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = running.wait_with_output().expect("should end");
    writing.join().expect("should not panic").expect("should read all");
    let said = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), cases.len(), "{said}");
    let wrong: Vec<String> = cases
        .iter()
        .zip(&lines)
        .filter(|(case, line)| expected(&case.vector) != **line)
        .map(|(case, line)| format!("{}\n  expected {}\n  got      {line}", case.name, expected(&case.vector)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(output.status.success(), "{}", output.status);
}

fn package(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn compile(source: &str, into: &Path, link: &[&OsStr]) -> PathBuf {
    // Memory that is not given back, or is used afterwards, ends the program with a failure.
    compile_with(&["-fsanitize=address,undefined", "-fno-sanitize-recover=all"], source, into, link)
}

fn compile_with(options: &[&str], source: &str, into: &Path, link: &[&OsStr]) -> PathBuf {
    let program = into.join("program");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g"]).args(options);
    cc.arg("-I").arg(package("include")).arg("-o").arg(&program).arg(package(source)).args(link);
    assert!(cc.status().expect("a C compiler").success());
    program
}

#[test]
fn c_verifies_with_the_shared_library() {
    let folder = tempfile::tempdir().expect("a folder");
    let shared = LIBRARIES.join("libbulla.so");
    let program = compile(PROGRAM, folder.path(), &[shared.as_os_str()]);
    says_what_the_vectors_say(Command::new(program).env("LD_LIBRARY_PATH", &*LIBRARIES));
}

#[test]
fn c_verifies_with_the_static_library() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = LIBRARIES.join("libbulla.a");
    let system = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"].map(AsRef::as_ref);
    let program = compile(PROGRAM, folder.path(), &[&[library.as_os_str()], &system[..]].concat());
    says_what_the_vectors_say(&mut Command::new(program));
}

#[test]
fn the_program_that_the_documentation_shows_tells_good_keys_from_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let program =
        compile("../docs/examples/capi/verify.c", folder.path(), &[LIBRARIES.join("libbulla.so").as_os_str()]);
    let demo = folder.path().join("demo");
    fs::create_dir(&demo).expect("should make a folder");
    let keyring = Folder::new();
    let document = keyring.document(&[Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7)]);
    let text = document.render(&keyring.mac_key(&document)).expect("should render");
    keyring.put("keyring.toml", text, 0o644);
    keyring.put("feed-api-key.txt", FEED_API_KEY, 0o600);
    let files = ["keyring.toml", "master-7.key", "feed-api-key.txt"].map(|name| (name, name));
    for (from, to) in files.into_iter().chain([("mac.key", "keyring-mac.key")]) {
        fs::copy(keyring.path(from), demo.join(to)).expect("should copy");
    }
    let server = FeedServer::start(FEED_API_KEY, bulla::gateway::now);
    let settings = include_str!("../../../../docs/examples/capi/gate.toml")
        .replace("http://127.0.0.1:8181", &server.address())
        .replace("{keyring_id}", &document.id().to_string())
        .replace("{public_key}", &public_key().to_string());
    fs::write(demo.join("gate.toml"), settings).expect("should write");
    let live = fixture::realm("live");
    let issuing = Keyring::load(&document, &keyring.sources(), &[live]).expect("should load");
    // The program reads the clock of this machine.
    let now = std::time::UNIX_EPOCH.elapsed().expect("the clock").as_secs();
    let issue = |scope| {
        let claims = Claims::new().with_scopes([scope]);
        let request = IssueRequest { realm: live, app_id: uuid::Uuid::max(), expires_at: None, claims };
        Issuer::new(&issuing).issue(&request, now).expect("should issue")
    };
    let (good, other) = (issue("orders.read"), issue("orders.write"));
    let mut running = Command::new(program)
        .current_dir(folder.path())
        .env("LD_LIBRARY_PATH", &*LIBRARIES)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("should start");
    let mut stdin = running.stdin.take().expect("a pipe");
    // The second question says that the first answer is in force.
    server.asked_from(0);
    server.asked_from(0);
    stdin.write_all(format!("{}\n{}\nx\n", good.expose(), other.expose()).as_bytes()).expect("should write");
    drop(stdin);
    let output = running.wait_with_output().expect("should end");
    let said = String::from_utf8(output.stdout).expect("text");
    assert_eq!(said, format!("accepted {}\n403: scope\n401: malformed\n", good.id()));
    assert!(output.status.success());
}

#[test]
fn python_verifies_by_ctypes() {
    let library = LIBRARIES.join("libbulla.so");
    says_what_the_vectors_say(
        Command::new("python3")
            .arg("-B")
            .arg(package("tests/library/capi/verify.py"))
            .arg(package("../docs/examples/capi"))
            .arg(library),
    );
}

#[test]
fn the_shared_library_exports_the_functions_of_the_header_and_nothing_else() {
    let symbols = Command::new("nm").args(["--dynamic", "--defined-only"]).arg(LIBRARIES.join("libbulla.so")).output();
    let symbols = String::from_utf8(symbols.expect("nm").stdout).expect("text");
    let mut symbols: Vec<&str> = symbols.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    symbols.sort_unstable();
    let header = fs::read_to_string(package("include/bulla.h")).expect("the header");
    assert!(
        symbols.iter().all(|symbol| symbol.starts_with("bulla2_") && header.contains(&format!("{symbol}("))),
        "{symbols:?}"
    );
    assert_eq!(symbols.len(), 21, "{symbols:?}");
}
