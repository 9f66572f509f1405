use bulla::{
    feed::{Answer, Head, LogId, Message, Question, SigningKey},
    keyring::KeyringId,
};
use zeroize::Zeroizing;

use super::*;
use crate::clock;

const ID: KeyringId = KeyringId::from_bytes([1; 16]);

fn key() -> SigningKey {
    SigningKey::from_seed(&Zeroizing::new([7; 32]))
}

/// A node that has every realm but those that begin with `x`, for which its API key has no scope where they begin with
/// `xx`. Of the feed of all realms it writes the newest format alone.
struct Node(About);

impl MessageSource for Node {
    fn name(&self) -> &str {
        "node"
    }

    fn ask(&self, question: &Question) -> Result<Answer, FollowError> {
        let (realm, format) = self.0;
        match realm.as_ref().map(Realm::as_str) {
            Some(realm) if realm.starts_with("xx") => return Err(FollowError::Status(403)),
            Some(realm) if realm.starts_with('x') => return Err(FollowError::Status(400)),
            None if format != Format::NEWEST => return Err(FollowError::Status(400)),
            _ => {}
        }
        let this_update = clock::now_seconds();
        let head = Head {
            format,
            keyring_id: ID,
            log_id: LogId::from_bytes([2; 16]),
            realm,
            after: question.after,
            seq: 9,
            head: 9,
            this_update,
            next_update: this_update + 600,
            keyring_serial: 1,
            versions: Vec::new(),
            live: None,
        };
        Ok(Answer::Next(Message::write(&head, &[], &key())?))
    }
}

/// The streams of a relay that follows such a node.
fn streams() -> Arc<Streams> {
    let config = format!("keyring_id = '{}'\npublic_key = '{}'\n", "01".repeat(16), key().verifying_key());
    let follow = toml::from_str(&config).expect("a configuration");
    let open = |about| Ok(vec![Arc::new(Node(about)) as Arc<dyn MessageSource>]);
    let streams = Arc::new(Streams::with(follow, Box::new(open)));
    streams.start().expect("the stream of all realms");
    streams
}

fn realm(name: &str) -> Option<Realm> {
    Some(name.parse().expect("a realm"))
}

/// The status of the refusal, and what it says.
async fn refusal(streams: &Arc<Streams>, realm: Option<Realm>, format: Format) -> (u16, String) {
    let refused = streams.of(realm, format).await.err().expect("a refusal");
    (refused.status.as_u16(), refused.detail)
}

#[tokio::test]
async fn what_the_source_refuses_is_told_at_once_and_does_not_stay() {
    let streams = streams();
    for at in 0..2 * MAX_STREAMS {
        let (status, told) = refusal(&streams, realm(&format!("x{at}")), Format::NEWEST).await;
        assert!(status == 400 && told.contains(&format!("the realm `x{at}`")), "{status} {told}");
    }
    let (status, told) = refusal(&streams, realm("xx"), Format::NEWEST).await;
    assert!(status == 503 && told.contains("own API key does not open"), "{status} {told}");
    let (status, told) = refusal(&streams, None, Format::V1).await;
    assert!(status == 400 && told.contains("too old for this format"), "{status} {told}");
    assert_eq!(streams.lock().keys().copied().collect::<Vec<_>>(), [(None, Format::NEWEST)]);
    for (realm, format) in [(realm("live"), Format::V1), (realm("live"), Format::NEWEST), (None, Format::NEWEST)] {
        let (_, newest) = streams.of(realm, format).await.expect("a message");
        assert_eq!((newest.seq, newest.format), (9, format));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_realms_that_nobody_has_keeps_no_other_realm_out() {
    let streams = streams();
    let asked = |name: String| {
        let streams = Arc::clone(&streams);
        tokio::spawn(async move { streams.of(realm(&name), Format::NEWEST).await.is_ok() })
    };
    let unknown: Vec<_> = (0..4 * MAX_STREAMS).map(|at| asked(format!("x{at}"))).collect();
    assert!(asked("live".to_owned()).await.expect("no panic"));
    for one in unknown {
        assert!(!one.await.expect("no panic"));
    }
    assert_eq!(streams.lock().len(), 2);
}

#[tokio::test]
async fn no_more_streams_have_messages_than_the_limit() {
    let streams = streams();
    streams.of(None, Format::NEWEST).await.expect("a message");
    for at in 1..MAX_STREAMS {
        streams.of(realm(&format!("r{at}")), Format::NEWEST).await.expect("a message");
    }
    let (status, told) = refusal(&streams, realm("last"), Format::NEWEST).await;
    assert!(status == 503 && told.contains("at its limit of realms"), "{status} {told}");
    assert_eq!(streams.lock().len(), MAX_STREAMS);
}

#[tokio::test]
async fn a_stream_that_nobody_reads_any_more_ends_and_begins_again_when_it_is_asked_for() {
    let streams = streams();
    let (read, _) = streams.of(realm("live"), Format::NEWEST).await.expect("a message");
    streams.forget_unread();
    assert_eq!(streams.lock().len(), 2);
    streams.forget_unread_for(Duration::ZERO);
    assert_eq!(streams.lock().keys().copied().collect::<Vec<_>>(), [(None, Format::NEWEST)], "the relay's own stays");
    let (again, _) = streams.of(realm("live"), Format::NEWEST).await.expect("a message");
    assert!(!Arc::ptr_eq(&read, &again));
}
