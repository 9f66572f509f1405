//! What a node tells a follower about secret halves, which no feed has: whether one is right, and which were changed.
//! `docs/FEED.md` has the two questions.

use std::{fmt, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};
use ureq::{Body, http::Response};

use super::{FollowError, HttpSource, LogId};
use crate::api_key::ApiKeyId;

/// Where both questions are, beside the feed.
const PATH: &str = "/v1/secret-halves";
/// Timeout of a check, for which a request waits.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// How much longer than the requested wait a node may take.
const EXTRA_TIME: Duration = Duration::from_secs(5);
/// Longer than any answer, in bytes.
const MAX_ANSWER: u64 = 4 << 20;

/// A node's answer about an API key with a secret half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretVerdict {
    /// Whether it accepts the key.
    pub active: bool,
    /// By what that may be remembered; none where it must not be.
    pub proof: Option<SecretProof>,
}

/// That a secret half was right at one place among the changes of secret halves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretProof {
    /// The log of the node's store: a place means something beside it alone.
    pub log_id: LogId,
    /// The place. The first change of this key behind it ends the proof.
    pub seq: u64,
    /// When the secret half ends, in seconds from now, where it does.
    pub ends_in: Option<u64>,
}

/// Which secret halves were changed behind a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretChanges {
    /// The log of the node's store.
    pub log_id: LogId,
    /// The place up to which these are all.
    pub seq: u64,
    /// The numbers of the changes, and whose secret halves they are. None where the node does not know them all: each
    /// one may have been changed.
    pub changed: Option<Vec<(u64, ApiKeyId)>>,
}

impl HttpSource {
    /// Asks whether it accepts an API key, with the body of `POST /v1/verify`, and by what that may be remembered:
    /// `POST /v1/secret-halves`. A server that has no such endpoint, or none for this credential, is asked the first
    /// alone.
    pub fn check_secret(&self, body: &str) -> Result<SecretVerdict, FollowError> {
        let request = self.agent().post(self.beside(PATH)).header("Authorization", self.authorization.clone());
        let request = request.header("Content-Type", "application/json");
        let answer = request.config().timeout_global(Some(CHECK_TIMEOUT)).build().send(body).map_err(unreachable)?;
        match answer.status().as_u16() {
            200 => read::<Checked>(answer)?.verdict(),
            401 | 403 | 404 => self.verify(body).map(|active| SecretVerdict { active, proof: None }),
            status => Err(FollowError::Status(status)),
        }
    }

    /// Asks which secret halves were changed behind a place, and waits up to `wait` seconds until one is; without a
    /// place, where the changes stand now: `GET /v1/secret-halves`.
    pub fn secret_changes(&self, after: Option<u64>, wait: u64) -> Result<SecretChanges, FollowError> {
        let after = after.map(|after| format!("after={after}&wait={wait}s"));
        let realm = self.realm.map(|realm| format!("realm={realm}"));
        let query = [after, realm].into_iter().flatten().collect::<Vec<_>>().join("&");
        let path = if query.is_empty() { PATH.to_owned() } else { format!("{PATH}?{query}") };
        match self.get(&self.beside(&path), &[], EXTRA_TIME + Duration::from_secs(wait)) {
            Ok(answer) => read::<Changed>(answer)?.changes(),
            Err(FollowError::Status(404)) => Err(unreachable("it does not say: it is an older node, or a relay")),
            Err(error) => Err(error),
        }
    }
}

#[derive(Deserialize)]
struct Checked {
    active: bool,
    log_id: Option<String>,
    seq: Option<u64>,
    ends_in: Option<u64>,
}

#[derive(Deserialize)]
struct Changed {
    log_id: String,
    seq: u64,
    changed: Option<Vec<One>>,
}

#[derive(Deserialize)]
struct One {
    seq: u64,
    api_key_id: String,
}

impl Checked {
    fn verdict(self) -> Result<SecretVerdict, FollowError> {
        let proof = match (self.log_id, self.seq) {
            (Some(log_id), Some(seq)) => {
                Some(SecretProof { log_id: log_id.parse().map_err(unreachable)?, seq, ends_in: self.ends_in })
            }
            _ => None,
        };
        Ok(SecretVerdict { active: self.active, proof: proof.filter(|_| self.active) })
    }
}

impl Changed {
    fn changes(self) -> Result<SecretChanges, FollowError> {
        let one = |one: One| Ok((one.seq, one.api_key_id.parse().map_err(unreachable)?));
        let changed = self.changed.map(|all| all.into_iter().map(one).collect::<Result<_, FollowError>>());
        let log_id = self.log_id.parse().map_err(unreachable)?;
        Ok(SecretChanges { log_id, seq: self.seq, changed: changed.transpose()? })
    }
}

fn read<T: DeserializeOwned>(mut answer: Response<Body>) -> Result<T, FollowError> {
    let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string().map_err(unreachable)?;
    // What an answer that cannot be read has in it is nobody's to repeat: it may quote the question.
    serde_json::from_str(&text)
        .map_err(|_| unreachable("it answers something else about secret halves than a node does"))
}

fn unreachable(error: impl fmt::Display) -> FollowError {
    FollowError::Unreachable(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "e0e1e2e3e4e5e6e7e8e9eaebecedeeef";

    fn log() -> LogId {
        LOG.parse().expect("a log id")
    }

    fn checked(text: &str) -> Result<SecretVerdict, FollowError> {
        serde_json::from_str::<Checked>(text).expect("an answer").verdict()
    }

    fn changes(text: &str) -> Result<SecretChanges, FollowError> {
        serde_json::from_str::<Changed>(text).expect("an answer").changes()
    }

    #[test]
    fn an_answer_is_remembered_by_its_place_alone() {
        let told = |active: &str| format!("{{\"active\":{active},\"log_id\":\"{LOG}\",\"seq\":7,\"ends_in\":60}}");
        let proof = Some(SecretProof { log_id: log(), seq: 7, ends_in: Some(60) });
        assert_eq!(checked(&told("true")).expect("read"), SecretVerdict { active: true, proof });
        assert_eq!(checked(&told("false")).expect("read"), SecretVerdict { active: false, proof: None });
        for without in ["{\"active\":true}", "{\"active\":true,\"seq\":7}"] {
            assert_eq!(checked(without).expect("read"), SecretVerdict { active: true, proof: None }, "{without}");
        }
        checked("{\"active\":true,\"log_id\":\"x\",\"seq\":7}").expect_err("no log has this id");
    }

    #[test]
    fn no_changes_and_unknown_changes_are_told_apart() {
        let id: ApiKeyId = "acme_live_00000XzbyFf5rOyRXQyt8V".parse().expect("an id");
        let with = |more: &str| format!("{{\"log_id\":\"{LOG}\",\"seq\":7{more}}}");
        let read = |more: &str| changes(&with(more)).expect("read").changed;
        assert_eq!(read(""), None);
        assert_eq!(read(",\"changed\":[]"), Some(Vec::new()));
        let one = format!(",\"changed\":[{{\"seq\":6,\"api_key_id\":\"{id}\"}}]");
        assert_eq!(read(&one), Some(vec![(6, id)]));
        changes(&with(",\"changed\":[{\"seq\":6,\"api_key_id\":\"x\"}]")).expect_err("no key has this id");
    }
}
