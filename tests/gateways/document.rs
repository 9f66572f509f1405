//! The pages about gateways show the very files that the tests start gateways with.

use std::{fs, path::Path};

#[test]
fn the_pages_show_every_file_word_for_word() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let modules = fs::read_dir(docs.join("examples/modules")).expect("a folder for each gateway").flatten();
    let modules = modules.map(|folder| (folder.path(), "MODULES.md"));
    for (folder, page) in modules.chain([(docs.join("examples/gateways"), "GATEWAYS.md")]) {
        let shown = fs::read_to_string(docs.join(page)).expect("the page");
        let files: Vec<_> = fs::read_dir(&folder).expect("the files").flatten().collect();
        assert!(!files.is_empty());
        for file in files {
            let text = fs::read_to_string(file.path()).expect("a text");
            assert!(shown.contains(&format!("\n{text}```\n")), "docs/{page} shows another {:?}", file.path());
        }
    }
}
