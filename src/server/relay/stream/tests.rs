use std::sync::{
    Condvar,
    atomic::{AtomicUsize, Ordering},
};

use bulla::{
    feed::{Answer, Message, MessageSource, SigningKey},
    keyring::KeyringId,
};
use zeroize::Zeroizing;

use super::*;

const ID: KeyringId = KeyringId::from_bytes([1; 16]);
const ONE: LogId = LogId::from_bytes([2; 16]);
const OTHER: LogId = LogId::from_bytes([3; 16]);

fn key() -> SigningKey {
    SigningKey::from_seed(&Zeroizing::new([7; 32]))
}

/// What a source says.
#[derive(Clone, Copy)]
struct Says {
    log_id: LogId,
    end: u64,
    keyring_serial: u64,
    /// In seconds.
    validity: u64,
    /// How long ago it signed, in seconds.
    age: u64,
}

const SAYS: Says = Says { log_id: ONE, end: 9, keyring_serial: 1, validity: 60, age: 0 };

impl Says {
    fn answer(self, question: &Question) -> Result<Answer, FollowError> {
        let Says { log_id, end, keyring_serial, validity, age } = self;
        if question.after > end {
            return Err(FollowError::BEHIND);
        }
        let this_update = clock::now_seconds() - age;
        let head = Head {
            format: Format::V1,
            keyring_id: ID,
            log_id,
            realm: None,
            after: question.after,
            seq: end,
            head: end,
            this_update,
            next_update: this_update + validity,
            keyring_serial,
            versions: Vec::new(),
            live: None,
        };
        Ok(Answer::Next(Message::write(&head, &[], &key())?))
    }
}

/// Says something until it is given something else to say.
struct Source(Mutex<Says>);

impl Source {
    fn new(says: Says) -> Arc<Self> {
        Arc::new(Source(Mutex::new(says)))
    }

    fn set(&self, says: Says) {
        *self.0.lock().expect("unharmed") = says;
    }
}

impl MessageSource for Source {
    fn name(&self) -> &str {
        "source"
    }

    fn ask(&self, question: &Question) -> Result<Answer, FollowError> {
        let says = *self.0.lock().expect("unharmed");
        says.answer(question)
    }
}

fn stream(sources: Vec<Arc<dyn MessageSource>>) -> Stream {
    Stream::new(Upstream::new(sources, (ID, key().verifying_key()), None, Arc::default())).0
}

/// The log that it follows.
fn followed(stream: &Stream) -> LogId {
    stream.newest.borrow().as_ref().expect("a message").log_id
}

/// How often it goes over to another log in so many questions, after the first message.
fn beginnings(stream: &Stream, questions: usize) -> usize {
    while stream.newest.borrow().is_none() {
        // One source may tell of the end of its log, and the other one answer what is asked of it then.
        let _refused = stream.follow();
    }
    let mut logs = vec![followed(stream)];
    for _ in 0..questions {
        let _refused = stream.follow();
        logs.push(followed(stream));
    }
    logs.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// Two halves of a divided database behind one address.
struct Alternating {
    /// The half that answers each question, bit by bit, once the first log is read to its end.
    turns: u32,
    asked: AtomicUsize,
    ends: [u64; 2],
}

impl MessageSource for Alternating {
    fn name(&self) -> &str {
        "both"
    }

    fn ask(&self, question: &Question) -> Result<Answer, FollowError> {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        let half = if turn < 2 { 0 } else { (self.turns >> (turn % 5)) as usize & 1 };
        Says { log_id: [ONE, OTHER][half], end: self.ends[half], ..SAYS }.answer(question)
    }
}

#[test]
fn two_logs_whose_messages_alternate_make_a_stream_begin_anew_at_most_once() {
    for turns in 0..32 {
        for ends in [[9, 9], [9, 12], [12, 9]] {
            let source = Arc::new(Alternating { turns, asked: AtomicUsize::new(0), ends });
            let stream = stream(vec![source]);
            let count = beginnings(&stream, 10);
            assert!(count <= 1, "{count} beginnings, turns {turns:b}, ends {ends:?}");
        }
    }
}

#[test]
fn two_sources_at_two_logs_make_a_stream_begin_anew_at_most_once() {
    for ends in [[9, 9], [9, 12], [12, 9]] {
        let sources = [(ONE, ends[0]), (OTHER, ends[1])];
        let sources = sources.map(|(log_id, end)| Source::new(Says { log_id, end, ..SAYS }) as Arc<dyn MessageSource>);
        let stream = stream(sources.into());
        assert!(beginnings(&stream, 16) <= 1);
        assert!(stream.follow().is_ok(), "the source at its log brings news");
    }
}

#[test]
fn a_log_that_was_left_is_followed_again_once_the_other_one_is_silent() {
    let source = Source::new(SAYS);
    let stream = stream(vec![Arc::clone(&source) as _]);
    stream.follow().expect("the first log");
    source.set(Says { log_id: OTHER, ..SAYS });
    stream.follow().expect("a new log is followed at once");
    assert_eq!((followed(&stream), stream.trouble()), (OTHER, None));

    source.set(SAYS);
    for _ in 0..3 {
        let refused = stream.follow();
        assert!(matches!(refused, Err(FollowError::Refused(FeedError::OtherLog { .. }))), "{refused:?}");
    }
    assert_eq!(followed(&stream), OTHER);
    let trouble = stream.trouble().expect("it is told");
    assert!(trouble.contains(&ONE.to_string()) && trouble.contains(&OTHER.to_string()), "{trouble}");

    // Its newest message counts no longer than until now.
    source.set(Says { log_id: OTHER, validity: 0, ..SAYS });
    stream.follow().expect("the log that it follows");
    source.set(SAYS);
    stream.follow().expect("the log that is left over");
    assert_eq!(followed(&stream), ONE);
    // And the other one is refused from now on.
    source.set(Says { log_id: OTHER, ..SAYS });
    assert!(stream.follow().is_err());
    assert_eq!(followed(&stream), ONE);
}

#[test]
fn an_old_message_of_another_log_is_refused() {
    let source = Source::new(SAYS);
    let stream = stream(vec![Arc::clone(&source) as _]);
    stream.follow().expect("the first log");
    source.set(Says { log_id: OTHER, age: 30, ..SAYS });
    let refused = stream.follow();
    assert!(matches!(refused, Err(FollowError::Refused(FeedError::Older { .. }))), "{refused:?}");
    assert_eq!(followed(&stream), ONE);
}

#[tokio::test]
async fn a_part_of_another_log_is_not_handed_on() {
    let source = Source::new(SAYS);
    let stream = stream(vec![Arc::clone(&source) as _]);
    source.set(Says { log_id: OTHER, ..SAYS });
    let refused = stream.part(ONE, 3, 9).await;
    assert!(matches!(refused, Err(FollowError::Refused(FeedError::OtherLog { .. }))), "{refused:?}");
    source.set(SAYS);
    assert_eq!(stream.part(ONE, 3, 9).await.expect("the part").seq, 9);
}

#[tokio::test]
async fn another_keyring_is_news_for_those_who_wait_at_the_end_of_the_log() {
    let source = Source::new(SAYS);
    let stream = stream(vec![Arc::clone(&source) as _]);
    let follow = || {
        stream.follow().expect("a message");
        stream.newest.borrow().clone().expect("a message")
    };
    let first = follow();
    let seen = FollowerPlace { log_id: ONE, seq: first.seq, keyring_serial: first.keyring_serial };
    let part = async || stream.part(ONE, 3, 9).await.expect("a part").bytes;
    let before = part().await;
    assert!(!follow().is_news(seen) && part().await == before);

    source.set(Says { keyring_serial: 2, ..SAYS });
    assert!(follow().is_news(seen));
    assert_ne!(part().await, before, "the message that reaches the end names the new keyring, too");
    let seen = FollowerPlace { keyring_serial: 2, ..seen };
    assert!(!follow().is_news(seen));
    // A node that has not loaded it yet.
    source.set(SAYS);
    assert!(!follow().is_news(seen));
    source.set(Says { keyring_serial: 2, ..SAYS });
    assert!(!follow().is_news(seen));
    source.set(Says { end: 10, ..SAYS });
    assert!(follow().is_news(seen));
}

#[test]
fn a_relay_waits_as_the_page_of_the_feed_says() {
    let failed = FollowError::Status(503);
    let delays = |failures| [0, 1 << 31, u32::MAX].map(|random| delay(Some(&failed), failures, random).as_millis());
    assert_eq!(delays(1), [0, 2_000, 3_999]);
    assert_eq!(delays(2), [0, 4_000, 7_999]);
    assert_eq!(delays(9), [0, 30_000, 59_999]);
    assert_eq!(delay(Some(&FollowError::BEHIND), 9, u32::MAX).as_millis(), 999, "another node may know already");
    assert_eq!(delay(None, 0, u32::MAX), Duration::ZERO);
    let drawn: std::collections::HashSet<u32> = (0..100).map(|_| drawn()).collect();
    assert!(drawn.len() > 90, "relays do not all come back in one second");
}

/// Holds questions for parts until it is opened.
#[derive(Default)]
struct Gate {
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    now: usize,
    most: usize,
    is_open: bool,
}

impl MessageSource for Gate {
    fn name(&self) -> &str {
        "gate"
    }

    fn ask(&self, question: &Question) -> Result<Answer, FollowError> {
        // The question for news waits, and those at the beginning ask for 0 and for the end.
        if question.wait == 0 && (1..SAYS.end).contains(&question.after) {
            let mut held = self.held.lock().expect("unharmed");
            held.now += 1;
            held.most = held.most.max(held.now);
            self.changed.notify_all();
            let mut held = self.changed.wait_while(held, |held| !held.is_open).expect("unharmed");
            held.now -= 1;
        }
        SAYS.answer(question)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_parts_are_asked_for_at_a_time_and_news_arrive_beside_them() {
    let gate = Arc::new(Gate::default());
    let stream = Arc::new(stream(vec![Arc::clone(&gate) as _]));
    let parts: Vec<_> = (1..SAYS.end)
        .map(|after| {
            let stream = Arc::clone(&stream);
            tokio::spawn(async move { stream.part(ONE, after, SAYS.end).await.map(|part| part.seq) })
        })
        .collect();
    assert!(parts.len() > MAX_PARTS);
    let held = gate.held.lock().expect("unharmed");
    drop(gate.changed.wait_while(held, |held| held.now < MAX_PARTS).expect("unharmed"));
    assert_eq!(stream.asking.available_permits(), 0);
    for _ in 0..3 {
        stream.follow().expect("news of the same source");
    }
    gate.held.lock().expect("unharmed").is_open = true;
    gate.changed.notify_all();
    for part in parts {
        assert_eq!(part.await.expect("no panic").expect("a part"), SAYS.end);
    }
    assert_eq!(gate.held.lock().expect("unharmed").most, MAX_PARTS);
}
