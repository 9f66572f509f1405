//! What a follower reports about itself to the node that it follows: `POST /v1/followers` of `docs/FEED.md`.

use rand::{TryRng, rngs::SysRng};
use serde_json::{Value, json};

use super::LogId;
use crate::{key_version::KeyVersion, realm::Realm};

/// What kind of follower reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FollowerRole {
    /// A service without a store, which verifies.
    Edge,
    /// A service that passes the feed on.
    Relay,
    /// A program with this library inside.
    Library,
}

impl FollowerRole {
    /// The role's name in a report.
    pub const fn name(self) -> &'static str {
        match self {
            FollowerRole::Edge => "edge",
            FollowerRole::Relay => "relay",
            FollowerRole::Library => "library",
        }
    }
}

/// A follower as it reports itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowerReport {
    /// Its name, the same after a restart: up to 128 of `A-Z`, `a-z`, `0-9`, `.`, `_`, `:`, `-` and `@`.
    pub name: String,
    /// Its role.
    pub role: FollowerRole,
    /// Where it serves; without it a node notes the sender's address.
    pub address: Option<String>,
    /// The version of the program, in up to 64 characters.
    pub version: String,
    /// The formats of the feed that it reads, such as `feed/1`.
    pub formats: Vec<String>,
    /// When it began, in Unix seconds.
    pub started_at: u64,
    /// The log that it follows, after the first message.
    pub log_id: Option<LogId>,
    /// The place in the log up to which everything is in force, and on disk where it keeps a state that a restart goes
    /// on from.
    pub seq: u64,
    /// When the newest message was signed, in Unix seconds; 0 before the first.
    pub this_update: u64,
    /// The serial number of the newest keyring that a message named.
    pub keyring_serial: u64,
    /// The key versions that it opens API keys with.
    pub versions: Vec<KeyVersion>,
    /// The realms that it verifies.
    pub realms: Vec<Realm>,
    /// Messages that it refused since it began.
    pub refused: u64,
    /// Why its last question failed, where it did, in up to 200 characters.
    pub last_error: Option<String>,
    /// The name that its process reported under until now, and does no more.
    pub former_name: Option<String>,
    /// The newest message that it applied, as it came, where a node's log ends before its place: it proves that the log
    /// was longer. Up to [`FollowerReport::MAX_SIGNED`] bytes.
    pub signed_message: Option<String>,
}

impl FollowerReport {
    /// Most bytes of a message in a report.
    pub const MAX_SIGNED: usize = 2_048;

    /// The body of `POST /v1/followers` for these followers, all of the process that drew this
    /// [`instance`](new_instance).
    pub fn body(reports: &[FollowerReport], instance: Option<&str>) -> String {
        json!({"followers": reports.iter().map(|report| report.to_json(instance)).collect::<Vec<_>>()}).to_string()
    }

    fn to_json(&self, instance: Option<&str>) -> Value {
        let mut report = json!({
            "name": self.name,
            "role": self.role.name(),
            "version": self.version,
            "formats": self.formats,
            "started_at": self.started_at,
            "seq": self.seq,
            "this_update": self.this_update,
            "keyring_serial": self.keyring_serial,
            "versions": self.versions.iter().map(|version| version.number()).collect::<Vec<_>>(),
            "realms": self.realms.iter().map(Realm::as_str).collect::<Vec<_>>(),
            "refused": self.refused,
        });
        let cut = |text: &String| text.chars().filter(|char| !char.is_control()).take(200).collect::<String>();
        let more = [
            ("address", self.address.clone()),
            ("instance", instance.map(str::to_owned)),
            ("log_id", self.log_id.map(|id| id.to_string())),
            ("last_error", self.last_error.as_ref().map(cut)),
            ("former_name", self.former_name.clone()),
            ("signed_message", self.signed_message.clone()),
        ];
        if let Some(report) = report.as_object_mut() {
            report.extend(more.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))));
        }
        report
    }
}

/// What tells a process from another one that reports under the same name: drawn once when it begins. `None` where the
/// operating system's generator fails: then it is not told from another one.
pub fn new_instance() -> Option<String> {
    let drawn = SysRng.try_next_u64().ok()?;
    Some(format!("{drawn:016x}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::feed) fn report(seq: u64) -> FollowerReport {
        FollowerReport {
            name: "edge-1".to_owned(),
            role: FollowerRole::Edge,
            address: None,
            version: "0.1.0".to_owned(),
            formats: vec!["feed/1".to_owned()],
            started_at: 7,
            log_id: None,
            seq,
            this_update: 0,
            keyring_serial: 2,
            versions: vec![KeyVersion::FIRST],
            realms: vec!["live".parse().expect("a realm")],
            refused: 0,
            last_error: None,
            former_name: None,
            signed_message: None,
        }
    }

    #[test]
    fn a_report_has_what_applies_and_nothing_that_a_line_reader_obeys() {
        let told = FollowerReport { last_error: Some(format!("a\n{}", "é".repeat(400))), ..report(3) };
        let body: Value = serde_json::from_str(&FollowerReport::body(&[report(3), told], Some("0f"))).expect("JSON");
        let first = &body["followers"][0];
        assert_eq!((first["role"].as_str(), first["seq"].as_u64()), (Some("edge"), Some(3)));
        assert_eq!(first["instance"], "0f");
        assert!(new_instance().is_some_and(|drawn| drawn.len() == 16) && new_instance() != new_instance());
        assert_eq!((&first["versions"], &first["realms"]), (&json!([1]), &json!(["live"])));
        assert!(
            ["address", "log_id", "last_error", "former_name"].iter().all(|name| first.get(name).is_none()),
            "{first}"
        );
        assert_eq!(body["followers"][1]["last_error"], format!("a{}", "é".repeat(199)));
    }
}
