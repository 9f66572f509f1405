//! The README's first command.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::support::{
    command::{bulla, run},
    http::Http,
};

#[test]
fn once_it_checks_and_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let ran = run(folder.path(), &["quickstart", "--once"]);
    let out = &ran.ok().out;
    let steps = out.split_once("1. ").expect("steps").1;
    let verdicts: Vec<&str> = steps.lines().map(str::trim).filter(|line| line.ends_with("active")).collect();
    assert_eq!(verdicts, ["active", "not active", "not active"], "{out}");
    for step in ["issued over HTTP", "verified over HTTP", "forged", "revoked over HTTP"] {
        assert!(out.contains(step), "{step} in {out}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "it leaves nothing behind");
}

#[test]
fn without_it_goes_on_serving_until_interrupted() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child =
        bulla(folder.path()).arg("quickstart").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map(|line| line.expect("UTF-8"));
    let out: Vec<String> = lines.by_ref().take_while(|line| !line.contains("Serving until Ctrl-C")).collect();
    let find = |prefix: &str| {
        let line = out.iter().find(|line| line.starts_with(prefix)).unwrap_or_else(|| panic!("{prefix} in {out:?}"));
        line.split_whitespace().find_map(|word| word.strip_prefix("http://")).expect("a URL").to_owned()
    };
    let data = Http::new(&find("data plane"));
    let deployment = out.iter().find_map(|line| line.strip_prefix("deployment  ")).expect("the folder");
    let thrown_away = deployment.split(" (").next().expect("a path").to_owned();
    assert!(out.iter().any(|line| line.contains("curl -s")), "{out:?}");

    // The very body of the first curl line.
    let body = out.iter().find_map(|line| line.trim().strip_prefix("-d @")).expect("a curl body");
    let body = serde_json::from_slice(&std::fs::read(body).expect("the file")).expect("JSON");
    assert_eq!(data.post("/v1/verify", &body).json()["active"], true);

    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.expect("kill runs").success());
    assert!(child.wait().expect("it ends").success());
    assert!(!std::path::Path::new(&thrown_away).exists(), "the deployment is thrown away");
}
