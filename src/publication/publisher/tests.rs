use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bulla::{
    feed::{Format, MessageSource, SigningKey, SnapshotBytes},
    revocation::{Change, RevocationEvent},
};
use zeroize::Zeroizing;

use super::*;
use crate::publication::folder::Folder;

const ID: KeyringId = KeyringId::from_bytes([1; 16]);

/// A node that has read the log up to a place.
struct Node {
    end: Arc<AtomicU64>,
    key: SigningKey,
}

impl MessageSource for Node {
    fn name(&self) -> &str {
        "node"
    }

    fn ask(&self, question: &Question) -> Result<Answer, FollowError> {
        let (now, end) = (clock::now_seconds(), self.end.load(Ordering::SeqCst));
        if question.after > end {
            return Err(FollowError::BEHIND);
        }
        let head = Head {
            format: Format::V1,
            keyring_id: ID,
            log_id: LogId::from_bytes([2; 16]),
            realm: None,
            after: question.after,
            seq: end,
            head: end,
            this_update: now,
            next_update: now + 60,
            keyring_serial: 1,
            versions: Vec::new(),
            live: None,
        };
        let revoked = |seq: u64| {
            let id = format!("live_00000X{seq:016}").parse().expect("an id");
            RevocationEvent::at_once(seq, Change::Revoke { id, expires_at: None })
        };
        let events: Vec<_> = (question.after + 1..=end).map(revoked).collect();
        Ok(Answer::Next(Message::write(&head, &events, &self.key)?))
    }
}

impl Origin for Node {
    fn snapshot_bytes(&self, _: (KeyringId, &VerifyingKey)) -> Result<Option<SnapshotBytes>, FollowError> {
        Ok(None)
    }
}

#[test]
fn a_node_that_is_behind_makes_no_shorter_head() {
    let (folder, end) = (tempfile::tempdir().expect("a folder"), Arc::new(AtomicU64::new(3)));
    let key = SigningKey::from_seed(&Zeroizing::new([7; 32]));
    let day = Duration::from_secs(86_400);
    let mut publisher = Publisher::new(
        Box::new(Node { end: Arc::clone(&end), key: SigningKey::from_seed(&Zeroizing::new([7; 32])) }),
        Box::new(Folder::open(folder.path()).expect("made")),
        Trusted { keyring_id: ID, key: key.verifying_key(), realm: None },
        Settings { interval: Duration::ZERO, keep: day, renew: day },
        PublisherMetrics::default(),
    );
    let mut publish = |end_of_node: u64, broken: bool| {
        end.store(end_of_node, Ordering::SeqCst);
        publisher.broken |= broken;
        publisher.publish(Duration::ZERO).map(|published| published.seq)
    };
    let head = || std::fs::read(folder.path().join(HEAD)).expect("a head object");
    assert!(matches!(publish(3, false), Ok(3)));
    let before = head();
    for broken in [false, true] {
        let behind = publish(2, broken);
        assert!(matches!(behind, Err(PublishError::Behind { seq: 2, published: 3 })), "{broken}: {behind:?}");
    }
    assert_eq!(head(), before);
    assert!(matches!(publish(4, false), Ok(4)), "all files are made anew from a node that is not");
}
