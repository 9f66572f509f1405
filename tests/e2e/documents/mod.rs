//! Every command of every document is run, in a fresh deployment for each page; what cannot run is parsed at least.

mod invocations;
mod page;
mod shell;
mod transcript;

use std::{collections::BTreeSet, fs};

use page::{Example, Page, Part, Step};
use shell::Shell;

use crate::support::{command, deployment::Deployment, server::Server};

/// Makes a test of each page, and the list of them all.
macro_rules! pages {
    ($($test:ident: $page:literal,)*) => {
        $(#[test]
        fn $test() {
            run(&Page::read($page));
        })*

        #[test]
        fn no_document_is_forgotten() {
            let tested = BTreeSet::from([$($page.to_owned()),*]);
            let there: BTreeSet<_> = Page::all().into_iter().map(|page| page.name).collect();
            assert_eq!(tested, there);
        }
    };
}

pages! {
    admin_runs: "docs/ADMIN.md",
    architecture_runs: "docs/ARCHITECTURE.md",
    changelog_runs: "docs/CHANGELOG.md",
    contributing_runs: "CONTRIBUTING.md",
    design_runs: "docs/DESIGN.md",
    embedding_runs: "docs/EMBEDDING.md",
    escrow_runs: "docs/ESCROW.md",
    feed_runs: "docs/FEED.md",
    findings_run: "findings/README.md",
    format_runs: "docs/FORMAT.md",
    gateways_runs: "docs/GATEWAYS.md",
    http_runs: "docs/HTTP.md",
    import_runs: "docs/IMPORT.md",
    keyring_runs: "docs/KEYRING.md",
    operations_runs: "docs/OPERATIONS.md",
    performance_runs: "docs/PERFORMANCE.md",
    readme_runs: "README.md",
    recovery_runs: "docs/RECOVERY.md",
    scanners_runs: "docs/SCANNERS.md",
    secrets_runs: "docs/SECRETS.md",
    security_runs: "docs/SECURITY.md",
    testing_runs: "docs/TESTING.md",
    threats_runs: "docs/THREATS.md",
    tls_runs: "docs/TLS.md",
    tutorial_runs: "docs/TUTORIAL.md",
}

/// Runs a page from top to bottom, and tells all that is wrong with it.
fn run(page: &Page) {
    let mut shell = None;
    let mut wrong = Vec::new();
    for part in page.parts() {
        match part {
            Part::SetUp { line, commands } => {
                let ran = shell.get_or_insert_with(Shell::new).run_as_it_is(&commands);
                if ran.code != 0 {
                    wrong.push(format!("{}:{line}: the set-up ends with {}:\n{}", page.name, ran.code, ran.output));
                }
            }
            Part::Example(example) => {
                let steps =
                    if ["console", "sh"].contains(&example.language.as_str()) { example.steps() } else { vec![] };
                for step in steps {
                    let found = if example.not_run.is_some() {
                        not_run(&step)
                    } else {
                        run_step(shell.get_or_insert_with(Shell::new), &step)
                    };
                    wrong.extend(found.map(|found| format!("{}:{}: {found}", page.name, step.line)));
                }
                wrong.extend(well_formed(&example).map(|found| format!("{}:{}: {found}", page.name, example.line)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn run_step(shell: &mut Shell, step: &Step) -> Option<String> {
    let ran = shell.run(&step.command);
    let expected = ["error: ", "rejected", "{\"active\":false"].iter().any(|begin| step.output.starts_with(begin))
        || step.output.contains("\nwrong ");
    if ran.code != 0 && !expected {
        return Some(format!("ends with {}: {}\n{}", ran.code, step.command, ran.output));
    }
    let agrees = step.output.trim().is_empty() || transcript::agree(&step.output, &ran.output, &mut shell.ids);
    (!agrees).then(|| format!("{}\nis to print\n{}\nand prints\n{}", step.command, step.output, ran.output))
}

/// What a shell and the command's parser say of a command that does not run here.
fn not_run(step: &Step) -> Option<String> {
    let shell = std::process::Command::new("bash").args(["-n", "-c", &step.command]).output().expect("bash");
    if !shell.status.success() {
        return Some(format!("{}\n{}", step.command, String::from_utf8_lossy(&shell.stderr)));
    }
    let folder = tempfile::tempdir().expect("a folder");
    invocations::of_bulla(&step.command).into_iter().find_map(|arguments| {
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.push("--help");
        let ran = command::run(folder.path(), &arguments);
        (ran.code != 0).then(|| format!("{}\n{}", step.command, ran.err))
    })
}

/// What can be told of an example from its text: JSON is JSON, a configuration one that bulla takes.
fn well_formed(example: &Example) -> Option<String> {
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
        | "lua" | "caddyfile" | "yaml" => None,
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

#[test]
fn the_readme_shows_what_quickstart_prints() {
    let shown = Page::read("README.md").examples().find(|example| example.language == "text").expect("a transcript").text;
    let folder = shown.split_whitespace().find(|word| word.starts_with("/tmp/")).expect("the folder").to_owned();
    let here = tempfile::tempdir().expect("a folder");
    let printed = command::run(here.path(), &["quickstart", "--once"]);
    let agrees = transcript::agree(&shown.replace(&folder, "…"), &printed.ok().out, &mut transcript::Ids::new());
    assert!(agrees, "README shows\n{shown}\nand quickstart prints\n{}", printed.out);
}

/// The texts in the first cells of the tables below `heading`, in pieces between the marks for what differs.
fn quoted(page: &str, heading: &str, column: usize) -> Vec<String> {
    let text = Page::read(page).text;
    let section = text.split(&format!("\n{heading}\n")).nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = section.expect("the section").lines().filter(|line| line.starts_with("| ") && !line.contains("---"));
    let cells = rows.filter_map(|row| row.split(" | ").nth(column)).map(str::to_owned).collect::<Vec<_>>();
    let texts = cells.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let pieces =
        texts.flat_map(|text| text.split('…')).map(|piece| piece.trim_matches([' ', ':', ';', ',']).to_owned());
    pieces.filter(|piece| piece.len() > 8).collect()
}

#[test]
fn messages_that_the_pages_quote_are_in_the_source() {
    fn read(folder: &std::path::Path, source: &mut String) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            match entry.path() {
                path if path.is_dir() => read(&path, source),
                path if path.extension().is_some_and(|end| end == "rs") => {
                    let text = fs::read_to_string(path).expect("a text");
                    let mut lines = text.split("\\\n");
                    source.push_str(lines.next().unwrap_or_default());
                    lines.for_each(|line| source.push_str(line.trim_start()));
                }
                _ => {}
            }
        }
    }
    let mut source = String::new();
    ["src", "keys/src"].iter().for_each(|folder| read(&page::root().join(folder), &mut source));
    let tables = [
        ("docs/OPERATIONS.md", "## Logs", 1),
        ("docs/OPERATIONS.md", "## Metrics", 0),
        ("docs/OPERATIONS.md", "## Health and readiness", 0),
        ("docs/OPERATIONS.md", "## Doctor", 1),
        ("docs/ADMIN.md", "## The audit", 0),
    ];
    let missing: BTreeSet<String> = tables
        .iter()
        .flat_map(|(page, heading, column)| quoted(page, heading, *column))
        .filter(|piece| !source.contains(piece.trim_start_matches("bulla_").trim_end_matches("_total")))
        .collect();
    assert!(missing.is_empty(), "no source says {missing:#?}");
}

#[test]
fn every_link_and_anchor_resolves() {
    let mut wrong = Vec::new();
    for page in Page::all() {
        let folder = page::root().join(&page.name).parent().expect("a folder").to_owned();
        for (line, target) in page.links() {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if path.is_empty() { page::root().join(&page.name) } else { folder.join(path) };
            let there = file.exists();
            let named = anchor.is_empty()
                || there && {
                    let text = fs::read_to_string(&file).unwrap_or_default();
                    Page { name: String::new(), text }.anchors().iter().any(|known| known == anchor)
                };
            if !there || !named {
                wrong.push(format!("{}:{line}: {target}", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_long_page_begins_with_contents_that_name_its_sections() {
    let mut wrong = Vec::new();
    for page in Page::all().iter().filter(|page| page.text.lines().count() > 150 && page.name != "docs/CHANGELOG.md") {
        let begin = page.text.split("\n## ").next().unwrap_or_default();
        let listed: BTreeSet<String> = Page { name: String::new(), text: begin.to_owned() }
            .links()
            .into_iter()
            .filter_map(|(_, target)| target.strip_prefix('#').map(str::to_owned))
            .collect();
        let sections = page.headings().into_iter().filter(|(level, _)| *level == 2);
        wrong.extend(
            sections.filter(|(_, anchor)| !listed.contains(anchor)).map(|(_, a)| format!("{}: #{a}", page.name)),
        );
    }
    assert!(wrong.is_empty(), "not among the contents:\n{}", wrong.join("\n"));
}

#[test]
fn every_address_that_curl_is_given_is_one_of_the_interface() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let interface = server.described_at().get("/openapi.json").json();
    let paths: Vec<&String> = interface["paths"].as_object().expect("paths").keys().collect();
    let mut wrong = Vec::new();
    for page in Page::all() {
        for example in page.examples().filter(|example| ["console", "sh"].contains(&example.language.as_str())) {
            for step in example.steps().iter().filter(|step| step.command.contains("curl ")) {
                for address in step.command.split(['\'', '"', ' ', '\n']).filter_map(path_of) {
                    if !paths.iter().any(|path| is_at(path, address)) {
                        wrong.push(format!("{}:{}: {address}", page.name, step.line));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The path of a URL of bulla's.
fn path_of(word: &str) -> Option<&str> {
    let rest = word.split_once("://").map_or(word, |(_, rest)| rest);
    let from = ["127.0.0.1:8181/", "127.0.0.1:8182/", "127.0.0.1:8183/", "bulla.example/", "…/"]
        .iter()
        .find_map(|host| rest.starts_with(host).then_some(host.len() - 1))?;
    rest[from..].split('?').next()
}

fn is_at(template: &str, path: &str) -> bool {
    if path == "/metrics" || template.starts_with("/v1/authorize") && path.starts_with("/v1/authorize/") {
        return true;
    }
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(&path)
            .all(|(wanted, there)| wanted.starts_with('{') && !there.is_empty() || wanted == there)
}
