//! A million forged, expired and revoked keys with secret halves, from one thread, while another checks genuine ones.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bulla::{
    Expectations, IssueRequest, Issuer, Opened, Verifier,
    claims::Claims,
    forged::forge,
    keyring::Keyring,
    revocation::Revocations,
    secret::{Argon2id, HashMemory, Pepper, SecretHash, SecretScheme},
};

use crate::{
    keyring::{self, NOW, realm},
    rounds::median_with_interval,
};

const MILLION: u64 = 1_000_000;
/// Keys of each kind, in turn.
const KEYS: usize = 256;
/// A window of genuine checks with or without the flood; they alternate until the flood has had its million.
const WINDOW: Duration = Duration::from_millis(500);
const FEWEST_WINDOWS: usize = 10;

pub(crate) fn run(keyring: &Keyring, pepper: &Pepper) {
    let issuer = Issuer::new(keyring);
    let issue = |expires_at| {
        let claims = Claims::new().with_secret();
        let request = IssueRequest { realm: realm(), app_id: keyring::APP, expires_at: Some(expires_at), claims };
        issuer.issue(&request, NOW).expect("an API key")
    };
    let genuine = issue(NOW + 86_400);
    let revoked: Vec<_> = (0..KEYS).map(|_| issue(NOW + 86_400)).collect();
    let list: Revocations = revoked.iter().map(bulla::ApiKey::id).collect();
    let verifier = Verifier::new(keyring).with_revocations(Arc::new(list));
    // They are judged an hour later.
    let expired = (0..KEYS).map(|_| issue(NOW + 1));
    let forged = (0..KEYS).map(|_| forge(issue(NOW + 86_400).expose(), 40));
    let flood: Vec<(String, u64)> = (expired.map(|key| (key.expose().to_owned(), NOW + 3_600)))
        .chain(forged.map(|text| (text, NOW)))
        .chain(revoked.iter().map(|key| (key.expose().to_owned(), NOW)))
        .collect();

    let (running, stop, refused, to_hash) =
        (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let digest = genuine.secret_digest(pepper).expect("a secret half");
    let owasp = SecretScheme::Argon2id(Argon2id::OWASP);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (realms, mut texts) = ([realm()], flood.iter().cycle());
            while !stop.load(Relaxed) {
                if !running.load(Relaxed) {
                    std::thread::sleep(Duration::from_micros(100));
                    continue;
                }
                for (text, now) in texts.by_ref().take(100) {
                    match verifier.open(black_box(text), &Expectations::realms(&realms), *now) {
                        Err(_) => refused.fetch_add(1, Relaxed),
                        Ok(_) => to_hash.fetch_add(1, Relaxed),
                    };
                }
            }
        });
        for scheme in [SecretScheme::HmacSha256, owasp] {
            let stored = SecretHash::new(scheme, &digest).expect("a hash");
            let mut memory = HashMemory::default();
            let mut check = || {
                let (realms, start) = ([realm()], Instant::now());
                let expected = Expectations::realms(&realms);
                let Ok(Opened::Secret(check)) = verifier.open(genuine.expose(), &expected, NOW) else {
                    panic!("it is genuine and has a secret half");
                };
                let matches = stored.matches_in(&check.digest(pepper), &mut memory).expect("checked");
                assert!(matches && check.accept(&verifier, &expected, NOW).is_ok());
                start.elapsed().as_nanos() as f64 / 1_000.0
            };
            let (mut windows, until) = (Vec::new(), refused.load(Relaxed) + MILLION);
            while windows.len() < FEWEST_WINDOWS || refused.load(Relaxed) < until {
                let mut median = |flooded| {
                    running.store(flooded, Relaxed);
                    let (end, mut times) = (Instant::now() + WINDOW, Vec::new());
                    while Instant::now() < end {
                        times.push(check());
                    }
                    median_with_interval(&mut times).1
                };
                windows.push((median(false), median(true)));
                running.store(false, Relaxed);
            }
            let mut ratios: Vec<f64> = windows.iter().map(|(quiet, flooded)| flooded / quiet).collect();
            let mut quiet: Vec<f64> = windows.iter().map(|(quiet, _)| *quiet).collect();
            let (low, middle, high) = median_with_interval(&mut ratios);
            let quiet = median_with_interval(&mut quiet).1;
            println!(
                "genuine, {:<30} {quiet:>10.1} µs; flooded by quiet {middle:.2} ({low:.2} … {high:.2})",
                scheme.to_string()
            );
        }
        stop.store(true, Relaxed);
    });
    let (refused, to_hash) = (refused.into_inner(), to_hash.into_inner());
    println!("the flood: {refused} keys refused, {to_hash} got as far as a secret half");
    assert_eq!(to_hash, 0, "nothing of the flood gets as far as a hash");
}
