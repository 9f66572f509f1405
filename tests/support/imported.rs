//! Keys that were issued elsewhere, on their way in.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    command::Ran,
    deployment::{APP, Deployment},
    server::Server,
};

pub const KEY: &str = "sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf";

pub fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        let _never_fails = write!(hex, "{byte:02x}");
        hex
    })
}

pub fn import(deployment: &Deployment, rows: &[Value], arguments: &[&str]) -> Ran {
    let rows: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let arguments = [&["keys", "import", "-", "--realm", "live", "--json"], arguments].concat();
    deployment.run_with(&arguments, &rows)
}

/// A row of this hash, with more fields.
pub fn row(hash: &str, more: Value) -> Value {
    let mut row = json!({"app_id": APP, "hash": hash});
    for (name, value) in more.as_object().expect("fields") {
        row[name] = value.clone();
    }
    row
}

pub fn verify(server: &Server, key: &str) -> Value {
    let answer = server.data.post("/v1/verify", &json!({"api_key": key}));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}
