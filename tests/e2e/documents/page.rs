//! A document: its examples in their order, its headings and its links.

use std::{fs, path::PathBuf};

/// Why an example is not run. No other reason counts.
pub const REASONS: [&str; 8] = [
    "another machine: a gateway, a client or a server that is not in this deployment",
    "Cargo: is a part of Cargo.toml",
    "cloud: asks the KMS of a cloud",
    "device: wants an HSM, a TPM or a daemon",
    "installs: builds or installs software",
    "root: changes the machine",
    "terminal: asks on a terminal",
    "tests: starts the tests themselves",
];

pub struct Page {
    pub name: String,
    pub text: String,
}

/// What stands between a fence and the next, or in a comment that readers do not see.
pub enum Part {
    /// Shell commands of a comment `<!-- set-up: … -->`, which make the world that the next example finds.
    SetUp {
        line: usize,
        commands: String,
    },
    Example(Example),
}

pub struct Example {
    pub line: usize,
    pub language: String,
    pub text: String,
    /// From a comment `<!-- not run: REASON -->` right before it.
    pub not_run: Option<String>,
}

/// A command of a transcript, with what it printed.
pub struct Step {
    pub line: usize,
    pub command: String,
    pub output: String,
}

impl Page {
    pub fn read(name: &str) -> Self {
        let path = root().join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Page { name: name.to_owned(), text }
    }

    /// All documents that users and contributors read.
    pub fn all() -> Vec<Self> {
        let mut names: Vec<String> = fs::read_dir(root().join("docs"))
            .expect("docs")
            .map(|entry| format!("docs/{}", entry.expect("an entry").file_name().to_string_lossy()))
            .filter(|name| name.ends_with(".md"))
            .collect();
        names.extend(["README.md", "CONTRIBUTING.md"].map(str::to_owned));
        names.extend(["findings/README.md", "keys/README.md", "tests/fuzz/README.md"].map(str::to_owned));
        names.sort();
        names.iter().map(|name| Page::read(name)).collect()
    }

    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut not_run = None;
        let mut lines = self.text.lines().enumerate().peekable();
        while let Some((at, line)) = lines.next() {
            let trimmed = line.trim_start();
            let indent = line.len() - trimmed.len();
            if let Some(mut comment) = trimmed.strip_prefix("<!-- ").map(str::to_owned) {
                while !comment.contains("-->") {
                    let (_, next) = lines.next().unwrap_or_else(|| panic!("{}:{}: an open comment", self.name, at + 1));
                    comment.push('\n');
                    comment.push_str(next);
                }
                let comment = comment.trim_end().trim_end_matches("-->").trim_end();
                if let Some(reason) = comment.strip_prefix("not run: ") {
                    assert!(
                        REASONS.iter().any(|known| known.split(':').next() == Some(reason)),
                        "{}:{}: {reason:?} is no reason; there are {REASONS:#?}",
                        self.name,
                        at + 1
                    );
                    not_run = Some(reason.to_owned());
                } else if let Some(commands) = comment.strip_prefix("set-up:") {
                    parts.push(Part::SetUp { line: at + 1, commands: commands.to_owned() });
                }
            } else if let Some(language) = trimmed.strip_prefix("```") {
                let mut text = String::new();
                for (_, inner) in lines.by_ref() {
                    if inner.trim_start() == "```" {
                        break;
                    }
                    text.push_str(inner.get(indent..).unwrap_or_default());
                    text.push('\n');
                }
                let language = language.split([',', ' ']).next().unwrap_or_default().to_owned();
                parts.push(Part::Example(Example { line: at + 1, language, text, not_run: not_run.take() }));
            } else if !trimmed.is_empty() {
                assert!(not_run.is_none(), "{}:{}: an example has to follow the comment", self.name, at + 1);
            }
        }
        parts
    }

    pub fn examples(&self) -> impl Iterator<Item = Example> {
        self.parts().into_iter().filter_map(|part| match part {
            Part::Example(example) => Some(example),
            Part::SetUp { .. } => None,
        })
    }

    /// The lines outside of examples, with their numbers.
    pub fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut inside = false;
        self.text.lines().enumerate().filter_map(move |(at, line)| {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            (!inside && !fence).then_some((at + 1, line))
        })
    }

    /// Level and anchor of each heading.
    pub fn headings(&self) -> Vec<(usize, String)> {
        let mut headings = Vec::new();
        let mut plain_ones: Vec<String> = Vec::new();
        for (_, line) in self.prose() {
            let level = line.bytes().take_while(|byte| *byte == b'#').count();
            if level > 0 && line.as_bytes().get(level) == Some(&b' ') {
                let plain = anchor(&line[level + 1..]);
                let before = plain_ones.iter().filter(|known| **known == plain).count();
                headings.push((level, if before == 0 { plain.clone() } else { format!("{plain}-{before}") }));
                plain_ones.push(plain);
            }
        }
        headings
    }

    pub fn anchors(&self) -> Vec<String> {
        let given = self.prose().flat_map(|(_, line)| line.split("<a id=\"").skip(1));
        let given = given.filter_map(|rest| rest.split('"').next()).map(str::to_owned);
        self.headings().into_iter().map(|(_, anchor)| anchor).chain(given).collect()
    }

    /// Line and target of each link.
    pub fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (line, text) in self.prose() {
            for rest in text.split("](").skip(1) {
                links.push((line, rest.split(')').next().unwrap_or_default().to_owned()));
            }
        }
        links
    }
}

impl Example {
    /// The commands of a transcript (`console`), or of a script (`sh`), one after the other.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut open = false;
        for (at, line) in self.text.lines().enumerate() {
            let begins = match self.language.as_str() {
                "console" => line.strip_prefix("$ ").or_else(|| line.strip_prefix("# ")),
                _ => Some(line),
            };
            match (begins, steps.last_mut()) {
                (_, Some(step)) if open => {
                    step.command.push('\n');
                    step.command.push_str(line);
                }
                (Some(command), _) if !command.is_empty() => {
                    steps.push(Step { line: self.line + at + 1, command: command.to_owned(), output: String::new() });
                }
                (_, Some(step)) => {
                    step.output.push_str(line);
                    step.output.push('\n');
                }
                (None, None) => panic!("line {}: a transcript begins with a command: {line}", self.line),
                (Some(_), None) => continue,
            }
            open = steps.last().is_some_and(|step| step.output.is_empty() && goes_on(&step.command));
        }
        steps
    }
}

/// Whether the shell wants more lines before it runs this.
fn goes_on(command: &str) -> bool {
    if command.ends_with('\\') {
        return true;
    }
    let parsed = std::process::Command::new("bash").args(["-n", "-c", command]).output().expect("bash");
    let error = String::from_utf8_lossy(&parsed.stderr);
    error.contains("unexpected end of file")
        || error.contains("unexpected EOF")
        || error.contains("here-document") && error.contains("delimited by end-of-file")
}

/// As GitHub makes an anchor of a heading.
fn anchor(heading: &str) -> String {
    let mut plain = String::new();
    let mut rest = heading.trim();
    while let Some((before, link)) = rest.split_once("](") {
        plain.push_str(&before.replace('[', ""));
        rest = link.split_once(')').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain
        .to_lowercase()
        .chars()
        .filter_map(|character| match character {
            ' ' => Some('-'),
            '-' | '_' => Some(character),
            _ => character.is_alphanumeric().then_some(character),
        })
        .collect()
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
