//! `cargo bench -p bulla --bench growth`: what a verify takes as the list of revocations, claims, realms and key
//! versions grow, and what they take in memory. `revocation` looks at the list more closely, `benches/issue.rs` at keys
//! that are issued at once.
//!
//! Each round times every size once, in turn, and the ratio to the smallest is taken within the round. The lines that
//! begin with `grow` are what `benches/plot.py growth` draws.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/ids.rs"]
mod ids;
#[path = "support/keyring.rs"]
mod keyring;
#[path = "support/rounds.rs"]
mod rounds;

use std::{hint::black_box, os::unix::fs::PermissionsExt, process::Command, sync::Arc};

use bulla::{
    Expectations, IssueRequest, Issuer, Realm, Verified, Verifier,
    claims::Claims,
    keyring::{Keyring, KeyringDocument, KeyringId, SourceRecord, Suite},
    revocation::Revocations,
    source::Sources,
};
use keyring::NOW;
use rounds::{Contender, median_with_interval, times_of};

/// Keys in turn, spread over the realms or versions of a size.
const KEYS: usize = 512;
const ROUNDS: usize = 101;
const STEPS: u32 = 2_000;
/// The first argument of the process that loads one keyring and prints what it takes.
const MEMORY: &str = "memory";

struct Size {
    name: usize,
    verifier: Verifier,
    /// Each with its realm, as a route expects it.
    texts: Vec<(String, [Realm; 1])>,
    bytes: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, plot, count] = &*arguments
        && first == MEMORY
    {
        println!("{}", memory_of(plot, count.parse().expect("a number")));
        return;
    }
    let one = keyring::load(Suite::Aes256Gcm);
    let issuer = Issuer::new(&one);
    let realms = [keyring::realm()];
    let texts: Vec<_> = (0..KEYS).map(|_| (issue(&issuer, realms[0], Claims::new()), realms)).collect();
    let lists = [0, 10, 1_000, 100_000, 1_000_000, 10_000_000].map(|ids| {
        let list = Revocations::from_changes(ids::revocations(0).take(ids));
        let bytes = list.memory();
        Size { name: ids, verifier: Verifier::new(&one).with_revocations(Arc::new(list)), texts: texts.clone(), bytes }
    });
    print("list", "ids revoked", lists.into());
    // An empty map takes a byte, the key and the text's head five to seven more.
    let claims = [0, 20, 40, 80, 120, 160, 200, 240].map(|bytes| {
        let noted = |bytes: usize| Claims::new().with_meta([("n", "v".repeat(bytes))]);
        let claims = (1..=bytes).map(noted).find(|claims| claims.to_cbor().is_ok_and(|cbor| cbor.len() == bytes));
        let (verifier, issuer, realms) = (Verifier::new(&one), Issuer::new(&one), [keyring::realm()]);
        let texts =
            (0..KEYS).map(|_| (issue(&issuer, realms[0], claims.clone().unwrap_or_default()), realms)).collect();
        // An accepted key has room for as many as there may be.
        Size { name: bytes, verifier, texts, bytes: size_of::<Verified>() }
    });
    print("claims", "bytes of claims", claims.into());
    print("realms", "realms", [1, 10, 100, 1_000, 10_000].map(of_realms).into());
    print("versions", "key versions", [1, 10, 100, 1_000].map(of_versions).into());
}

fn print(plot: &str, what: &str, sizes: Vec<Size>) {
    let mut contenders: Vec<Contender<'_>> = Vec::new();
    for Size { name, verifier, texts, .. } in &sizes {
        let mut at = 0;
        contenders.push(Contender::new(&name.to_string(), move || {
            at = (at + 1) % texts.len();
            let (text, realms) = &texts[at];
            verifier.verify(text, &Expectations::realms(realms), NOW).is_ok()
        }));
    }
    let times = times_of(&mut contenders, ROUNDS, STEPS);
    println!("\n{what:>16} {:>10} {:>26} {:>14}", "ns", "ratio to the first (95 %)", "bytes");
    for (size, own) in sizes.iter().zip(&times) {
        let mut ratios: Vec<f64> = own.iter().zip(&times[0]).map(|(own, first)| own / first).collect();
        let (low, middle, high) = median_with_interval(&mut ratios);
        let time = median_with_interval(&mut own.clone()).1;
        let ratio = format!("{middle:.2} ({low:.2} … {high:.2})");
        println!("{:>16} {time:>10.0} {ratio:>26} {:>14}", size.name, size.bytes);
        println!("grow\t{plot}\t{}\t{time:.1}\t{middle:.3}\t{}", size.name, size.bytes);
    }
}

fn issue(issuer: &Issuer, realm: Realm, claims: Claims) -> String {
    let request = IssueRequest { realm, app_id: keyring::APP, expires_at: Some(NOW + 86_400), claims };
    issuer.issue(&request, NOW).expect("an API key").expose().to_owned()
}

/// Folder and document with one key version for each number, the last one active.
fn staged(versions: usize) -> (tempfile::TempDir, KeyringDocument, Sources) {
    let folder = tempfile::tempdir().expect("a folder");
    let sources = Sources::new(folder.path());
    let mut document = KeyringDocument::new(KeyringId::from_bytes([0xa0; 16]));
    for number in 0..versions {
        let name = format!("{number}.key");
        let file = folder.path().join(&name);
        // 32 bytes in base64, different for each.
        std::fs::write(&file, format!("{number:04}AwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        let source = SourceRecord { uri: format!("file:{name}").parse().expect("a URI"), wrapped: None };
        let version = document.stage(Suite::Aes256Gcm, vec![source], &sources, NOW).expect("staged");
        // Activating a version deactivates the one before, which goes on to open.
        document.activate(version, NOW).expect("activated");
    }
    (folder, document, sources)
}

fn of_realms(count: usize) -> Size {
    let (_folder, document, sources) = staged(1);
    let realms = realms(count);
    let keyring = Keyring::load(&document, &sources, &realms).expect("loaded");
    let issuer = Issuer::new(&keyring);
    // Of as many realms as there are keys, all over the list.
    let realm = |at: usize| realms[at * count.div_ceil(KEYS) % count];
    let texts = (0..KEYS).map(|at| (issue(&issuer, realm(at), Claims::new()), [realm(at)])).collect();
    Size { name: count, verifier: Verifier::new(&keyring), texts, bytes: in_its_own_process("realms", count) }
}

fn of_versions(count: usize) -> Size {
    let realms = [keyring::realm()];
    let (_folder, document, sources) = staged(count);
    let keyring = Keyring::load(&document, &sources, &realms).expect("loaded");
    let verifier = Verifier::new(&keyring);
    // Keys of the first version and of the last, and of those between as far as a keyring of fewer versions still
    // seals.
    let mut texts = Vec::new();
    let parts = count.min(8);
    for part in 1..=parts {
        let (_folder, document, sources) = staged(count * part / parts);
        let earlier = Keyring::load(&document, &sources, &realms).expect("loaded");
        let issuer = Issuer::new(&earlier);
        texts.extend((0..KEYS / parts).map(|_| (issue(&issuer, realms[0], Claims::new()), realms)));
    }
    Size { name: count, verifier, texts, bytes: in_its_own_process("versions", count) }
}

fn realms(count: usize) -> Vec<Realm> {
    (0..count).map(|number| format!("realm{number}").parse().expect("a realm")).collect()
}

/// The bytes of a keyring of so many realms or versions, by a process that has loaded nothing else: here the allocator
/// gives out again what the sizes before left.
fn in_its_own_process(plot: &str, count: usize) -> usize {
    let this = std::env::current_exe().expect("this program");
    let ran = Command::new(this).args([MEMORY, plot, &count.to_string()]).output().expect("a process");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).trim().parse().expect("bytes")
}

fn memory_of(plot: &str, count: usize) -> usize {
    let (versions, realms) = if plot == "realms" { (1, realms(count)) } else { (count, vec![keyring::realm()]) };
    let (_folder, document, sources) = staged(versions);
    let before = resident();
    let keyring = black_box(Keyring::load(&document, &sources, &realms).expect("loaded"));
    let bytes = resident().saturating_sub(before);
    drop(keyring);
    bytes
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    4096 * pages
}
