//! What a relay asks: its sources, of which the first one counts whose answer verifies. A source that accepts a
//! question and never answers holds nothing up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use axum::body::Bytes;
use bulla::{
    Realm,
    feed::{Answer, FeedError, FollowError, Head, Message, MessageSource, Question, VerifyingKey},
    keyring::KeyringId,
};

use super::refusals::Refusals;

/// How long a source has alone for an answer that is there already. Questions that wait for news go to all at once.
const NEXT_AFTER: Duration = Duration::from_millis(500);
/// How much longer than asked for a source may take once another one has failed: then both are asked anew.
const LATE: Duration = Duration::from_secs(2);
/// The most questions that one source may leave open. Then it gets no more until it answers.
const MAX_OPEN: usize = 8;

/// The sources of one stream.
pub(super) struct Upstream {
    sources: Vec<Source>,
    /// The one that answered last.
    current: AtomicUsize,
    trusted: (KeyringId, VerifyingKey),
    realm: Option<Realm>,
    refusals: Arc<Refusals>,
}

struct Source {
    source: Arc<dyn MessageSource>,
    /// Counts its open questions: each holds a clone.
    open: Arc<()>,
}

/// A message that may be handed on, and what its head says.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    pub(super) head: Head,
}

/// An answer, and the number of its source.
type Answered = (usize, Result<Answer, FollowError>);

impl Upstream {
    pub(super) fn new(
        sources: Vec<Arc<dyn MessageSource>>,
        trusted: (KeyringId, VerifyingKey),
        realm: Option<Realm>,
        refusals: Arc<Refusals>,
    ) -> Self {
        let sources = sources.into_iter().map(|source| Source { source, open: Arc::default() }).collect();
        Upstream { sources, current: AtomicUsize::new(0), trusted, realm, refusals }
    }

    /// The message that goes on from a place, if `may` accepts its head. It blocks. The source that answered last is
    /// asked first, and the next one when it fails or takes its time.
    pub(super) fn ask(
        &self,
        question: Question,
        may: impl Fn(&Head) -> Result<(), FeedError>,
    ) -> Result<Received, FollowError> {
        let Question { after, wait, .. } = question;
        let (first, count) = (self.current.load(Ordering::Relaxed), self.sources.len());
        let mut left = (0..count).map(|at| (first + at) % count);
        let head_start = if wait > 0 { Duration::ZERO } else { NEXT_AFTER };
        let (tell, told) = mpsc::channel();
        let mut tell = Some(tell);
        let mut failed: Option<FollowError> = None;
        let late = Instant::now() + Duration::from_secs(wait) + LATE;
        loop {
            // Once all are asked, the end of the last question ends this one.
            tell = tell.filter(|tell| left.next().inspect(|number| self.begin(*number, question, tell)).is_some());
            let answered = match &tell {
                Some(_) => told.recv_timeout(head_start),
                None if failed.is_some() => told.recv_timeout(late.saturating_duration_since(Instant::now())),
                None => told.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            };
            let checked = |answer| -> Result<Received, FollowError> {
                let received = self.check(answer, after)?;
                may(&received.head)?;
                Ok(received)
            };
            match answered.map(|(number, answer)| (number, answer.and_then(checked))) {
                Ok((number, Ok(received))) => {
                    self.current.store(number, Ordering::Relaxed);
                    return Ok(received);
                }
                // One that is behind tells more than one that does not answer, and the first failure more than others.
                // A refusal tells more than a source that is down: all of them have the same realms.
                Ok((_, Err(error))) => {
                    if let FollowError::Refused(refused) = &error {
                        self.refusals.add(refused.code());
                    }
                    match &failed {
                        Some(before) if before.is_behind() => {}
                        Some(before) if !error.is_behind() && (is_refusal(before) || !is_refusal(&error)) => {}
                        _ => failed = Some(error),
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) if tell.is_some() => {}
                Err(_) => {
                    return Err(failed.unwrap_or_else(|| FollowError::Unreachable("no source answers".into())));
                }
            }
        }
    }

    /// Asks one source on a thread of its own: nothing can stop a question that was sent.
    fn begin(&self, number: usize, question: Question, tell: &mpsc::Sender<Answered>) {
        let Source { source, open } = &self.sources[number];
        if Arc::strong_count(open) > MAX_OPEN {
            return;
        }
        let (source, open, tell) = (Arc::clone(source), Arc::clone(open), tell.clone());
        let ask = move || {
            let answer = source.ask(&question);
            drop(open);
            // Nobody may wait for it any more.
            drop(tell.send((number, answer)));
        };
        if let Err(error) = thread::Builder::new().name("relay ask".to_owned()).spawn(ask) {
            tracing::warn!(%error, "a source cannot be asked");
        }
    }

    fn check(&self, answer: Answer, after: u64) -> Result<Received, FollowError> {
        let Answer::Next(bytes) = answer else { return Err(FeedError::NotNext { after, seq: after }.into()) };
        let message = Message::read(&bytes, self.trusted.0, &self.trusted.1)?;
        let head = message.head().clone();
        if head.realm != self.realm {
            return Err(FeedError::OtherRealm { found: head.realm, expected: self.realm }.into());
        }
        if head.after != after {
            return Err(FeedError::NotNext { after: head.after, seq: after }.into());
        }
        Ok(Received { bytes: bytes.into(), head })
    }
}

/// Returns whether a source refuses what it is asked, so that waiting does not help: any 4xx but those that say when to
/// ask again, or that the source is behind.
pub(super) fn is_refusal(error: &FollowError) -> bool {
    matches!(error, FollowError::Status(status @ 400..=499) if ![408, 409, 425, 429].contains(status))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bulla::feed::{Format, LogId, SigningKey};
    use zeroize::Zeroizing;

    use super::*;

    const ID: KeyringId = KeyringId::from_bytes([1; 16]);

    enum Does {
        Answers,
        Fails(u16),
        /// Answers nothing until the test ends.
        Hangs(Mutex<mpsc::Receiver<()>>),
    }

    struct Fake {
        does: Does,
        by: SigningKey,
    }

    impl MessageSource for Fake {
        fn name(&self) -> &str {
            "fake"
        }

        fn ask(&self, question: &Question) -> Result<Answer, FollowError> {
            match &self.does {
                Does::Fails(status) => return Err(FollowError::Status(*status)),
                Does::Hangs(hanging) => drop(hanging.lock().expect("unharmed").recv()),
                Does::Answers => {}
            }
            let head = Head {
                format: Format::V1,
                keyring_id: ID,
                log_id: LogId::from_bytes([2; 16]),
                realm: None,
                after: question.after,
                seq: question.after,
                head: question.after,
                this_update: 1_795_000_000,
                next_update: 1_795_000_060,
                keyring_serial: 1,
                versions: Vec::new(),
                live: None,
            };
            Ok(Answer::Next(Message::write(&head, &[], &self.by)?))
        }
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&Zeroizing::new([seed; 32]))
    }

    /// Sources of which each does something, and signs with the key of a seed; 7 is the right one.
    fn upstream(all: Vec<(Does, u8)>) -> Upstream {
        let fake = |(does, seed)| Arc::new(Fake { does, by: key(seed) }) as Arc<dyn MessageSource>;
        let trusted = (ID, key(7).verifying_key());
        Upstream::new(all.into_iter().map(fake).collect(), trusted, None, Arc::default())
    }

    fn ask(upstream: &Upstream, after: u64, wait: u64) -> Result<Received, FollowError> {
        upstream.ask(Question { after, log_id: None, wait }, |_| Ok(()))
    }

    #[test]
    fn a_source_that_never_answers_holds_nothing_up() {
        let (let_go, hanging) = mpsc::channel();
        let upstream = upstream(vec![(Does::Hangs(Mutex::new(hanging)), 7), (Does::Answers, 7)]);
        for wait in [0, 10] {
            assert_eq!(ask(&upstream, 5, wait).expect("the other one's").head.after, 5);
        }
        for _ in 0..3 * MAX_OPEN {
            ask(&upstream, 5, 10).expect("the other one's");
        }
        assert!(Arc::strong_count(&upstream.sources[0].open) <= MAX_OPEN + 1, "questions to it pile up");
        drop(let_go);
    }

    #[test]
    fn a_failure_is_told_soon_while_another_source_hangs() {
        let (let_go, hanging) = mpsc::channel();
        let upstream = upstream(vec![(Does::Hangs(Mutex::new(hanging)), 7), (Does::Fails(503), 7)]);
        for wait in [0, 1] {
            let failed = ask(&upstream, 5, wait).err();
            assert!(matches!(failed, Some(FollowError::Status(503))), "{failed:?}");
        }
        drop(let_go);
    }

    #[test]
    fn the_first_answer_that_verifies_counts() {
        let (let_go, hanging) = mpsc::channel();
        let hangs = Does::Hangs(Mutex::new(hanging));
        let upstream = upstream(vec![(Does::Answers, 8), (Does::Fails(503), 7), (hangs, 7), (Does::Answers, 7)]);
        for wait in [0, 10] {
            assert_eq!(ask(&upstream, 3, wait).expect("an answer").head.after, 3);
        }
        drop(let_go);
    }

    #[test]
    fn an_answer_that_may_not_count_is_counted_as_refused_and_the_next_one_is_taken() {
        let refuses_once = std::cell::Cell::new(true);
        let may = |head: &Head| match refuses_once.replace(false) {
            true => Err(FeedError::OtherLog { found: head.log_id, expected: LogId::from_bytes([9; 16]) }),
            false => Ok(()),
        };
        let upstream = upstream(vec![(Does::Answers, 7), (Does::Answers, 8), (Does::Answers, 7)]);
        let question = Question { after: 3, log_id: None, wait: 10 };
        assert_eq!(upstream.ask(question, may).expect("the other one's").head.after, 3);
        let refused = upstream.refusals.take();
        assert_eq!(refused.get("other_log"), Some(&1));
        assert_eq!(upstream.refusals.total(), refused.values().sum::<u64>());
        assert!(upstream.refusals.take().is_empty(), "each is shown once");
        let failed = upstream.ask(question, |_| Err(FeedError::TooManyEvents(1))).err();
        assert!(matches!(failed, Some(FollowError::Refused(_))), "{failed:?}");
    }

    #[test]
    fn where_none_answers_the_one_that_is_behind_says_why_or_one_that_refuses() {
        for (all, told) in [
            (&[503, 409][..], 409),
            (&[409, 503], 409),
            (&[401], 401),
            (&[400, 409], 409),
            (&[400, 503], 400),
            (&[503, 400], 400),
        ] {
            let upstream = upstream(all.iter().map(|status| (Does::Fails(*status), 7)).collect());
            for wait in [0, 10] {
                let failed = ask(&upstream, 3, wait).err();
                assert!(matches!(failed, Some(FollowError::Status(status)) if status == told), "{failed:?}");
            }
        }
        let failed = ask(&upstream(Vec::new()), 3, 0).err();
        assert!(matches!(failed, Some(FollowError::Unreachable(_))), "{failed:?}");
    }
}
