//! The page about gateways shows the very files that the tests start gateways with.

use std::{fs, path::Path};

#[test]
fn the_page_shows_every_file_word_for_word() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = fs::read_to_string(docs.join("GATEWAYS.md")).expect("the page");
    let files: Vec<_> = fs::read_dir(docs.join("examples/gateways")).expect("the files").flatten().collect();
    assert!(!files.is_empty());
    for file in files {
        let text = fs::read_to_string(file.path()).expect("a text");
        assert!(page.contains(&format!("\n{text}```\n")), "docs/GATEWAYS.md shows another {:?}", file.file_name());
    }
}
