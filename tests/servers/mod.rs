//! Servers beside the gateways, and clients of OAuth 2.0: each is the real program, with the file that docs/SERVERS.md
//! shows.

mod apache;
mod dovecot;
mod fastcgi;
mod lighttpd;
mod oauth;
mod rabbitmq;
mod squid;
mod stage;

use std::{fs, path::Path};

#[test]
fn the_page_shows_every_file_word_for_word() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = fs::read_to_string(docs.join("SERVERS.md")).expect("the page");
    let files: Vec<_> = fs::read_dir(docs.join("examples/servers")).expect("the files").flatten().collect();
    assert!(!files.is_empty());
    for file in files {
        let text = fs::read_to_string(file.path()).expect("a text");
        assert!(page.contains(&format!("\n{text}```\n")), "docs/SERVERS.md shows another {:?}", file.file_name());
    }
}
