//! Every command of every document is run, in a fresh deployment for each page; what cannot run is parsed at least.

mod invocations;
mod page;
mod references;
mod shell;
mod transcript;
mod well_formed;

use std::collections::BTreeSet;

use page::{Page, Part, Step};
use shell::Shell;
use well_formed::well_formed;

use crate::support::command;

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
    deployment_runs: "docs/DEPLOYMENT.md",
    design_runs: "docs/DESIGN.md",
    edges_run: "docs/EDGES.md",
    embedding_runs: "docs/EMBEDDING.md",
    escrow_runs: "docs/ESCROW.md",
    feed_runs: "docs/FEED.md",
    findings_run: "findings/README.md",
    format_runs: "docs/FORMAT.md",
    fuzzing_runs: "tests/fuzz/README.md",
    gateways_runs: "docs/GATEWAYS.md",
    glossary_runs: "docs/GLOSSARY.md",
    headers_run: "docs/HEADERS.md",
    http_runs: "docs/HTTP.md",
    import_runs: "docs/IMPORT.md",
    keyring_runs: "docs/KEYRING.md",
    library_runs: "keys/README.md",
    modules_run: "docs/MODULES.md",
    operations_runs: "docs/OPERATIONS.md",
    performance_runs: "docs/PERFORMANCE.md",
    postgresql_runs: "docs/POSTGRESQL.md",
    readme_runs: "README.md",
    recovery_runs: "docs/RECOVERY.md",
    relay_runs: "docs/RELAY.md",
    scale_runs: "docs/SCALE.md",
    scanners_runs: "docs/SCANNERS.md",
    secrets_runs: "docs/SECRETS.md",
    security_runs: "docs/SECURITY.md",
    servers_run: "docs/SERVERS.md",
    static_feed_runs: "docs/STATIC_FEED.md",
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

#[test]
fn the_readme_shows_what_quickstart_prints() {
    let shown =
        Page::read("README.md").examples().find(|example| example.language == "text").expect("a transcript").text;
    let folder = shown.split_whitespace().find(|word| word.starts_with("/tmp/")).expect("the folder").to_owned();
    let here = tempfile::tempdir().expect("a folder");
    let printed = command::run(here.path(), &["quickstart", "--once"]);
    let agrees = transcript::agree(&shown.replace(&folder, "…"), &printed.ok().out, &mut transcript::Ids::new());
    assert!(agrees, "README shows\n{shown}\nand quickstart prints\n{}", printed.out);
}
