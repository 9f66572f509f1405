//! `cargo bench -p bulla --bench constant_time`: whether the time of a verify tells anything about a secret, by the
//! method of dudect (Reparaz, Balasch and Verbauwhede, 2017).
//!
//! Two classes of inputs differ in nothing but what depends on a secret. Inputs of both are copied into one place in
//! random order and verified there, since the time to read a text also depends on where it lies. Welch's t of the two
//! means is taken: of all times, and of those below several percentiles, which leaves out the turns of other programs.
//! The largest |t| counts. Over 4.5 there may be a difference, over 10 there is one. More measurements make a
//! difference show, and no number of them proves that there is none.
//!
//! One pair of each suite must differ: it shows that a difference of this kind would be seen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/keyring.rs"]
mod keyring;

use std::{hint::black_box, time::Instant};

use bulla::{
    Expectations, IssueRequest, Issuer, Verifier,
    claims::Claims,
    forged::forge,
    keyring::{Keyring, Suite},
};
use keyring::{NOW, realm};

/// Inputs of a class, so that no text is learnt by heart.
const INPUTS: usize = 4_096;
/// Verifies in one measurement: the clock is too coarse for a single one.
const STEPS: usize = 4;
const MEASUREMENTS: usize = 1_000_000;
/// Times above these percentiles are left out, one after the other.
const PERCENTILES: [f64; 8] = [100.0, 99.0, 95.0, 90.0, 80.0, 70.0, 60.0, 50.0];

fn main() {
    let count = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(MEASUREMENTS);
    println!("{:<66} {:>8}", format!("{count} measurements a pair"), "max |t|");
    for suite in [Suite::Aes256Gcm, Suite::Xaes256Gcm] {
        let keyring = keyring::load(suite);
        let verifier = Verifier::new(&keyring);
        let realms = [realm()];
        let expected = Expectations::realms(&realms);
        let mut verify = |text: &str| verifier.verify(black_box(text), &expected, NOW).is_ok();
        let keys = issue(&keyring, |_| keyring::APP);
        // Characters that stand for the text, the tag's first half and its second one: groups of 11 are 8 bytes.
        let body = keyring::REALM.len() + 1;
        let (text, first, last) = match suite {
            Suite::Xaes256Gcm => (body + 5 * 11 + 10, body + 6 * 11 + 10, body + 8 * 11 + 5),
            _ => (body + 4 * 11 + 10, body + 5 * 11 + 10, body + 6 * 11 + 10),
        };
        let others = issue(&keyring, |_| keyring::APP);
        let wrong_of = |keys: &[String], place| keys.iter().map(|text| forge(text, place)).collect::<Vec<_>>();
        let wrong = |place: usize| wrong_of(&keys, place);
        let pairs = [
            ("the tag wrong in front, or at its end", wrong(first), wrong(last)),
            ("the tag wrong in front, of some keys or of others", wrong(first), wrong_of(&others, first)),
            ("the text altered, or the tag", wrong(text), wrong(last)),
            ("an app of zeros, or a random one", issue(&keyring, |_| uuid::Uuid::nil()), issue(&keyring, random)),
            ("the same, twice", issue(&keyring, random), issue(&keyring, random)),
            ("a right seal, or a wrong one (must differ)", keys.clone(), wrong(last)),
        ];
        for (name, first, second) in pairs {
            let t = largest_t(&mut verify, [&first, &second], count);
            let verdict = if t > 10.0 {
                "differ"
            } else if t > 4.5 {
                "perhaps"
            } else {
                "alike"
            };
            println!("{:<66} {t:>8.1}  {verdict}", format!("{suite}: {name}"));
        }
    }
}

fn random(at: usize) -> uuid::Uuid {
    let mixed = (at as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    uuid::Uuid::from_u128(mixed ^ (mixed >> 61))
}

fn issue(keyring: &Keyring, app: impl Fn(usize) -> uuid::Uuid) -> Vec<String> {
    let issuer = Issuer::new(keyring);
    let request =
        |at| IssueRequest { realm: realm(), app_id: app(at), expires_at: Some(NOW + 86_400), claims: Claims::new() };
    (0..INPUTS).map(|at| issuer.issue(&request(at), NOW).expect("an API key").expose().to_owned()).collect()
}

/// The largest |t| over the percentiles.
fn largest_t(step: &mut impl FnMut(&str) -> bool, classes: [&[String]; 2], count: usize) -> f64 {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut times = [Vec::with_capacity(count), Vec::with_capacity(count)];
    let mut places: [String; STEPS] = std::array::from_fn(|_| String::with_capacity(256));
    for turn in 0..count + count / 10 {
        let number = next();
        let (class, at) = (number as usize & 1, (number >> 8) as usize % (INPUTS - STEPS));
        // Chosen without a branch, so that both classes come out of the same code.
        for (place, input) in places.iter_mut().zip(&classes[class][at..at + STEPS]) {
            place.clear();
            place.push_str(input);
        }
        black_box(&mut places);
        let start = Instant::now();
        for place in &places {
            black_box(step(place));
        }
        let time = start.elapsed().as_nanos() as f64;
        // The first tenth warms up.
        if turn >= count / 10 {
            times[class].push(time);
        }
    }
    let mut all: Vec<f64> = times.concat();
    all.sort_by(f64::total_cmp);
    let limits = PERCENTILES.map(|percentile| all[((all.len() - 1) as f64 * percentile / 100.0) as usize]);
    limits.iter().map(|limit| welch(&times, *limit).abs()).fold(0.0, f64::max)
}

/// Welch's t of the times up to the limit.
fn welch(times: &[Vec<f64>; 2], limit: f64) -> f64 {
    let [first, second] = times.each_ref().map(|times| {
        let kept: Vec<f64> = times.iter().copied().filter(|time| *time <= limit).collect();
        let count = kept.len().max(2) as f64;
        let mean = kept.iter().sum::<f64>() / count;
        let variance = kept.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    });
    let spread = (first.1 + second.1).sqrt();
    if spread > 0.0 { (first.0 - second.0) / spread } else { 0.0 }
}
