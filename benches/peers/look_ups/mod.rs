//! Keys that a service looks up: in Redis, in PostgreSQL and at OpenBao, each a server of its own, asked over one kept
//! connection. The servers are held to the core that this program is held to, so a figure is all that a look-up takes
//! there: in the client, in the kernel and in the server.

mod openbao;
#[path = "../../../tests/support/postgres.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod postgres;
mod redis;
mod server;
mod sql;

use aws_lc_rs::digest::{SHA256, digest};

use crate::rounds::{Contender, Measured};

/// API keys that the servers know.
const STORED: usize = 1_000_000;
/// Of these, the ones that are looked up in turn.
const KEYS: usize = 512;

/// A peer, and what it does beside looking keys up.
struct LookUp {
    contender: Contender<'static>,
    /// Whether it revokes one key, whether it lists keys, and whether it refuses a forged key without being asked.
    does: [&'static str; 3],
}

/// What the peers do, by the names of their contenders.
pub(crate) struct Abilities(Vec<(String, [&'static str; 3])>);

/// Starts those that are installed, and adds what looks keys up in them.
pub(crate) fn add(contenders: &mut Vec<Contender<'static>>) -> Abilities {
    let peers = [redis::look_up(), sql::look_up(), openbao::look_up()];
    let mut abilities = Vec::new();
    for LookUp { contender, does } in peers.into_iter().flatten() {
        abilities.push((contender.name().to_owned(), does));
        contenders.push(contender);
    }
    Abilities(abilities)
}

impl Abilities {
    /// Prints the table of docs/PERFORMANCE.md.
    pub(crate) fn print(&self, measured: &[Measured]) {
        println!("\n| | ns, ratio to raw | revokes one key | lists keys | refuses forged without I/O |");
        println!("|---|---|---|---|---|");
        for (name, does) in &self.0 {
            for one in measured.iter().filter(|one| one.name == *name) {
                println!("| {name} | {}, {:.0} | {} |", grouped(one.nanoseconds), one.ratio, does.join(" | "));
            }
        }
    }
}

/// The texts that are looked up: as long as API keys, and different.
fn texts() -> Vec<String> {
    (0..KEYS).map(|at| format!("acme_live_{at:083}")).collect()
}

/// What a careful service stores in place of a key.
fn hash(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("32 bytes")
}

/// A figure with commas between thousands.
fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let (mut text, first) = (String::new(), digits.len() % 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && at % 3 == first {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
