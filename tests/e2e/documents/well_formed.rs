//! What can be told of an example from its text alone.

use std::fs;

use super::page::Example;
use crate::support::deployment::Deployment;

/// What is wrong with it: JSON has to be JSON, a configuration one that bulla takes.
pub fn well_formed(example: &Example) -> Option<String> {
    let said = |error: String| Some(format!("{error}\n{}", example.text));
    match example.language.as_str() {
        "json" => {
            serde_json::from_str::<serde_json::Value>(&whole(&example.text)).err().and_then(|e| said(e.to_string()))
        }
        "jsonl" => example.text.lines().find_map(|line| {
            serde_json::from_str::<serde_json::Value>(&whole(line)).err().and_then(|e| said(e.to_string()))
        }),
        "toml" if example.not_run.is_none() => configuration(&example.text).and_then(said),
        "console" | "sh" | "toml" | "text" | "http" | "rust" | "python" | "csv" | "ini" | "nginx" | "haproxy"
        | "lua" | "caddyfile" | "yaml" | "apache" | "javascript" => None,
        other => said(format!("{other:?} is no language of these pages")),
    }
}

/// JSON without the marks for what is left out, and with its lines joined.
fn whole(text: &str) -> String {
    let joined: String = text.lines().map(str::trim_start).collect::<Vec<_>>().join(" ");
    joined.replace(", …,", ",").replace(",…", "").replace(", …", "").replace("…,", "")
}

/// Puts it into the configuration of `bulla init`, and has a command read that.
fn configuration(fragment: &str) -> Option<String> {
    let deployment = Deployment::new();
    let text = fs::read_to_string(deployment.file("bulla.toml")).expect("the configuration");
    let mut whole: toml::Table = text.parse().expect("TOML");
    let fragment =
        if fragment.starts_with("trusted_sources") { format!("[keyring]\n{fragment}") } else { fragment.to_owned() };
    let fragment: toml::Table = match fragment.parse() {
        Ok(fragment) => fragment,
        Err(error) => return Some(error.to_string()),
    };
    if fragment.contains_key("follow") {
        // An edge's, which shares nothing with a node's. Its key is not here; that is told once the rest was read.
        fs::write(deployment.file("bulla.toml"), fragment.to_string()).expect("written");
        let ran = deployment.run(&["edge", "recipient"]);
        return (!ran.err.contains("edge.key")).then_some(ran.err);
    }
    merge(&mut whole, fragment);
    fs::write(deployment.file("bulla.toml"), whole.to_string()).expect("written");
    let ran = deployment.run(&["keys", "list"]);
    (ran.code != 0).then_some(ran.err)
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(value)) => merge(inner, value),
            (_, value) => drop(into.insert(name, value)),
        }
    }
}
