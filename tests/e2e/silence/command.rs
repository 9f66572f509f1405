//! An API key in every option and argument of every command.

use clap::{Arg, Command};

use super::places::Places;
use crate::support::{
    command::{bulla, finish, run},
    deployment::{APP, Deployment},
};

/// Arguments that take an API key.
const FOR_KEYS: [&str; 2] = ["key", "id"];

/// Every command that does something, with the words that name it.
fn commands(command: &Command, words: &[String], all: &mut Vec<(Vec<String>, Command)>) {
    if !command.has_subcommands() {
        all.push((words.to_vec(), command.clone()));
    }
    for inner in command.get_subcommands() {
        commands(inner, &[words, &[inner.get_name().to_owned()]].concat(), all);
    }
}

/// A value that the argument takes.
fn usual(argument: &Arg, id: &str) -> String {
    let possible = argument.get_possible_values();
    let of_name = match argument.get_id().as_str() {
        "realm" => "live",
        "app" => APP,
        "version" | "successor" => "1",
        "source" | "add" | "remove" => "file:master-2.key",
        "file" | "identity" => "empty.jsonl",
        "key" | "id" => id,
        _ => return possible.first().map_or("1".to_owned(), |value| value.get_name().to_owned()),
    };
    of_name.to_owned()
}

/// The argument with a value, as it stands on a command line.
fn written(argument: &Arg, value: &str) -> Vec<String> {
    match argument.get_long() {
        Some(long) => vec![format!("--{long}={value}")],
        None => vec![value.to_owned()],
    }
}

#[test]
fn no_argument_of_any_command_stores_or_repeats_a_key() {
    let deployment = Deployment::new();
    deployment.new_master(2);
    std::fs::write(deployment.file("empty.jsonl"), "").expect("written");
    let key = deployment.issue_text("live", &[]);
    let id = deployment.issue("live", &[])["api_key_id"].as_str().expect("an id").to_owned();
    let (mut all, mut places, mut tried) = (Vec::new(), Places::default(), 0);
    commands(&bulla_server::cli::command(), &[], &mut all);
    assert!(all.len() > 20, "{}", all.len());
    let mut root = bulla_server::cli::command();
    root.build();
    let global: Vec<Arg> = root.get_arguments().filter(|one| one.is_global_set()).cloned().collect();
    for (words, command) in &all {
        let takes = |argument: &&Arg| argument.get_action().takes_values();
        let arguments: Vec<&Arg> = command.get_arguments().chain(&global).filter(takes).collect();
        for argument in &arguments {
            for text in [key.clone(), format!("my_{key}"), format!("{key}_old"), format!("x{key}y")] {
                let others = arguments.iter().filter(|other| {
                    other.get_id() != argument.get_id()
                        && (other.is_required_set() || other.is_positional() || other.get_id() == "scheme")
                });
                let mut line = words.clone();
                line.extend(others.flat_map(|other| written(other, &usual(other, &id))));
                line.extend(written(argument, &text));
                if words[0] == "quickstart" {
                    line.push("--once".to_owned());
                }
                let line: Vec<&str> = line.iter().map(String::as_str).collect();
                let ran = run(deployment.path(), &line);
                let name = argument.get_id().as_str();
                let with = format!("{words:?} with {name}");
                if !FOR_KEYS.contains(&name) {
                    assert_eq!(ran.code, 64, "{with}: {} {}", ran.out, ran.err);
                }
                places.add(with, ran.out + &ran.err);
                tried += 1;
            }
        }
        for surplus in [vec![&*key], vec!["--", &*key], vec![&*id, &*key], vec!["--x", &*key]] {
            let line: Vec<&str> = words.iter().map(String::as_str).chain(surplus).collect();
            if words[0] != "serve" && words[0] != "quickstart" && words[0] != "init" {
                let ran = run(deployment.path(), &line);
                places.add(format!("{words:?} with more"), ran.out + &ran.err);
            }
        }
        let option = format!("--{key}");
        let line: Vec<&str> = words.iter().map(String::as_str).chain([&*option]).collect();
        let ran = run(deployment.path(), &line);
        assert_eq!(ran.code, 64, "{words:?} with an option that there is not");
        places.add(format!("{words:?} with --KEY"), ran.out + &ran.err);
        for variable in arguments.iter().filter_map(|argument| argument.get_env()) {
            let line: Vec<&str> = words.iter().map(String::as_str).collect();
            let ran = finish(bulla(deployment.path()).args(&line).env(variable, &key), "");
            places.add(format!("{words:?} with {variable:?}"), ran.out + &ran.err);
        }
    }
    for line in [vec![&*key], vec!["keys", &*key], vec!["keyring", &*key], vec!["completions", &*key]] {
        let ran = run(deployment.path(), &line);
        assert_eq!(ran.code, 64, "{}", ran.err);
        places.add("no command", ran.out + &ran.err);
    }
    assert!(tried > 300, "{tried}");
    places.add_files(&deployment);
    places.add("audit", deployment.run(&["audit", "--jsonl"]).ok().out.clone());
    places.hold_no_key(&key);
}

#[test]
fn no_setting_in_the_environment_repeats_a_key() {
    let deployment = Deployment::new();
    let key = deployment.issue_text("live", &[]);
    let text = std::fs::read_to_string(deployment.file("bulla.toml")).expect("the configuration");
    let table: toml::Table = toml::from_str(&text).expect("TOML");
    let mut places = Places::default();
    for (name, fields) in &table {
        for field in fields.as_table().expect("a table").keys().map(String::as_str).chain(["unknown", &*key]) {
            let variable = format!("BULLA_{}__{}", name.to_uppercase(), field.to_uppercase());
            for value in [key.clone(), format!("[\"{key}\"]"), format!("{{ {key} = 1 }}")] {
                let ran = finish(bulla(deployment.path()).args(["doctor"]).env(&variable, &value), "");
                places.add(format!("doctor with {variable}"), ran.out + &ran.err);
            }
        }
    }
    places.hold_no_key(&key);
}
