//! What the pages refer to is there: links, anchors, sections, addresses, messages and files.

use std::{collections::BTreeSet, fs};

use super::page::{Page, root};
use crate::support::{deployment::Deployment, server::Server};

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
    ["src", "keys/src"].iter().for_each(|folder| read(&root().join(folder), &mut source));
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
        let folder = root().join(&page.name).parent().expect("a folder").to_owned();
        for (line, target) in page.links() {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if path.is_empty() { root().join(&page.name) } else { folder.join(path) };
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

/// Everybody on a machine sees the arguments of its programs. `printf` is none: it is a part of the shell.
#[test]
fn no_example_gives_curl_an_api_key_as_an_argument() {
    let mut wrong = Vec::new();
    for page in Page::all() {
        for example in page.examples().filter(|example| ["console", "sh"].contains(&example.language.as_str())) {
            for step in example.steps() {
                let of_curl = step.command.split("curl ").skip(1);
                let mut arguments = of_curl.map(|rest| rest.split(['|', ';', '>']).next().unwrap_or_default());
                if arguments.any(|given| ["live_…", "bulla_…", "$(cat ", "$(<"].iter().any(|key| given.contains(key)))
                {
                    wrong.push(format!("{}:{}: {}", page.name, step.line, step.command));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "put the key into a file, `-d @FILE` or `-H @FILE`:\n{}", wrong.join("\n"));
}

/// Who builds without the lock file builds what nobody tested.
#[test]
fn every_example_that_builds_takes_the_locked_versions() {
    let mut wrong = Vec::new();
    for page in Page::all() {
        for example in page.examples() {
            let whole = example.text.replace("\\\n", " ");
            let builds =
                whole.lines().filter(|line| ["cargo install", "cargo build"].iter().any(|it| line.contains(it)));
            let unlocked = builds.filter(|line| !line.contains("--locked"));
            wrong.extend(unlocked.map(|line| format!("{}:{}: {line}", page.name, example.line)));
        }
    }
    assert!(wrong.is_empty(), "add --locked:\n{}", wrong.join("\n"));
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

/// Files and folders that the pages name are there.
#[test]
fn every_path_that_a_page_names_is_there() {
    let mut wrong = Vec::new();
    for page in Page::all().iter().filter(|page| page.name != "docs/CHANGELOG.md") {
        let named =
            page.prose().flat_map(|(line, text)| text.split('`').skip(1).step_by(2).map(move |path| (line, path)));
        let is_path = |path: &str| {
            ["src/", "keys/", "tests/", "docs/", "benches/", ".ci/", "findings/"]
                .iter()
                .any(|folder| path.starts_with(folder))
        };
        for (line, path) in named.filter(|(_, path)| is_path(path)) {
            let path = path.split([' ', ':', '#']).next().unwrap_or_default();
            if !path.contains(['*', '{', '…']) && !path.starts_with("docs/N") && !root().join(path).exists() {
                wrong.push(format!("{}:{line}: {path}", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_map_names_every_folder_and_no_other() {
    let text = Page::read("docs/ARCHITECTURE.md").text;
    let map = text.split("\n## Folders\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the folders");
    let map = map.split("\n| elsewhere").next().unwrap_or_default();
    for (table, folder) in map.split("\n| in `").skip(1).zip(["keys/src", "src"]) {
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
        let cells = rows.filter_map(|row| row.split(" | ").next());
        let named: BTreeSet<String> = cells
            .flat_map(|cell| cell.split([',', ' ', '`']).filter(|name| !name.is_empty()))
            .map(str::to_owned)
            .collect();
        let entries =
            fs::read_dir(root().join(folder)).expect("a folder").flatten().filter(|entry| entry.path().is_dir());
        let there: BTreeSet<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let folders: BTreeSet<String> = named.iter().filter(|name| !name.ends_with(".rs")).cloned().collect();
        assert_eq!(folders, there, "{folder}");
        assert!(named.iter().all(|name| root().join(folder).join(name).exists()), "{named:?}");
    }
}
