//! Sources that are asked on threads of their own, so that a question without an answer can be abandoned: a device, its
//! driver or a disk may hang in a call that nothing interrupts.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use super::{KeySource, SourceError, SourceErrorKind, SourceUri};
use crate::derive::DerivedKey;

/// How much longer a source is waited for that has a time limit of its own, whose message says more.
const MARGIN: Duration = Duration::from_secs(2);

/// What the thread is asked.
enum Question {
    Expand(Vec<Vec<u8>>),
    Remarks,
}

/// What it answers.
#[derive(Default)]
struct Answer {
    expanded: Vec<DerivedKey>,
    remarks: Vec<String>,
}

/// A source behind a thread of its own.
pub(super) struct Abandonable {
    uri: SourceUri,
    limit: Duration,
    /// How many values one question is for. A question has the time limit, so a source that computes one after the
    /// other is asked for one.
    at_once: usize,
    thread: Mutex<Thread>,
}

/// The channel to the thread, until a question is abandoned.
struct Thread {
    questions: Sender<Question>,
    answers: Receiver<Result<Answer, SourceError>>,
    alive: Weak<()>,
    abandoned: bool,
}

/// A thread that still waits for its source. As long as it does, the source is not asked again: threads would pile up.
struct Abandoned {
    uri: SourceUri,
    since: Instant,
    alive: Weak<()>,
}

/// One list per process, because a module, mount or network that hangs does so for the whole process.
static ABANDONED: Mutex<Vec<Abandoned>> = Mutex::new(Vec::new());

/// Opens a source on a thread of its own, which then answers all questions to it.
pub(super) fn source(
    uri: &SourceUri,
    limit: Duration,
    at_once: usize,
    open: impl FnOnce() -> Result<Box<dyn KeySource>, SourceError> + Send + 'static,
) -> Result<Box<dyn KeySource>, SourceError> {
    let limit = limit + MARGIN;
    refuse_abandoned(uri)?;
    let (questions, asked) = mpsc::channel::<Question>();
    let (tell, answers) = mpsc::channel();
    let alive = start(uri, move || {
        let source = match open() {
            Ok(source) => source,
            // Nobody listens any more once the question was abandoned, here and below.
            Err(error) => return drop(tell.send(Err(error))),
        };
        let opened = tell.send(Ok(Answer::default()));
        if opened.is_ok() {
            for question in asked {
                if tell.send(question.put_to(&*source)).is_err() {
                    return;
                }
            }
        }
    })?;
    let mut thread = Thread { questions, answers, alive, abandoned: false };
    thread.answer(uri, limit)?;
    Ok(Box::new(Abandonable { uri: uri.clone(), limit, at_once, thread: Mutex::new(thread) }))
}

/// Does `work`, which asks a source once, on a thread of its own.
pub(super) fn once<T: Send + 'static>(
    uri: &SourceUri,
    limit: Duration,
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    refuse_abandoned(uri)?;
    let (tell, answer) = mpsc::channel();
    let alive = start(uri, move || drop(tell.send(work())))?;
    wait(uri, limit, &answer, &alive)?
}

impl KeySource for Abandonable {
    fn expand(&self, info: &[u8]) -> Result<DerivedKey, SourceError> {
        let mut expanded = self.expand_all(&[info.to_vec()])?;
        expanded.pop().ok_or_else(|| fail(&self.uri, "it gave no answer".to_owned()))
    }

    fn expand_all(&self, infos: &[Vec<u8>]) -> Result<Vec<DerivedKey>, SourceError> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::with_capacity(infos.len());
        for infos in infos.chunks(self.at_once) {
            all.append(&mut thread.ask(Question::Expand(infos.to_vec()), &self.uri, self.limit)?.expanded);
        }
        Ok(all)
    }

    fn at_once(&self) -> usize {
        self.at_once
    }

    fn remarks(&self) -> Result<Vec<String>, SourceError> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(thread.ask(Question::Remarks, &self.uri, self.limit)?.remarks)
    }
}

impl Question {
    fn put_to(self, source: &dyn KeySource) -> Result<Answer, SourceError> {
        Ok(match self {
            Question::Expand(infos) => Answer { expanded: source.expand_all(&infos)?, ..Answer::default() },
            Question::Remarks => Answer { remarks: source.remarks()?, ..Answer::default() },
        })
    }
}

impl Thread {
    fn ask(&mut self, question: Question, uri: &SourceUri, limit: Duration) -> Result<Answer, SourceError> {
        // A thread that is gone shows by the missing answer.
        let _ = self.questions.send(question);
        self.answer(uri, limit)
    }

    fn answer(&mut self, uri: &SourceUri, limit: Duration) -> Result<Answer, SourceError> {
        if self.abandoned {
            return Err(fail(uri, "it gave no answer before, and is not asked again".to_owned()));
        }
        let answer = wait(uri, limit, &self.answers, &self.alive);
        self.abandoned = answer.is_err();
        answer?
    }
}

/// Starts a thread, which counts as alive until `work` is done.
fn start(uri: &SourceUri, work: impl FnOnce() + Send + 'static) -> Result<Weak<()>, SourceError> {
    let alive = Arc::new(());
    let told = Arc::downgrade(&alive);
    let started = thread::Builder::new().name("key source".to_owned()).spawn(move || {
        let _alive = alive;
        work();
    });
    started.map(|_| told).map_err(|error| fail(uri, format!("there is no thread to ask it: {error}")))
}

fn wait<T>(uri: &SourceUri, limit: Duration, answer: &Receiver<T>, alive: &Weak<()>) -> Result<T, SourceError> {
    answer.recv_timeout(limit).map_err(|error| match error {
        RecvTimeoutError::Timeout => {
            let since = Instant::now().checked_sub(limit).unwrap_or_else(Instant::now);
            abandoned().push(Abandoned { uri: uri.clone(), since, alive: Weak::clone(alive) });
            let seconds = limit.as_secs_f32();
            fail(uri, format!("it gave no answer within {seconds} s: see that it, and the path to it, is up"))
        }
        RecvTimeoutError::Disconnected => fail(uri, "asking it ended in a defect: the log says more".to_owned()),
    })
}

/// Refuses a source that still has not answered an earlier question.
fn refuse_abandoned(uri: &SourceUri) -> Result<(), SourceError> {
    let mut all = abandoned();
    all.retain(|one| one.alive.strong_count() > 0);
    let Some(hanging) = all.iter().find(|one| one.uri == *uri) else { return Ok(()) };
    let seconds = hanging.since.elapsed().as_secs();
    Err(fail(uri, format!("it has not answered for {seconds} s: see that it, and the path to it, is up")))
}

fn abandoned() -> MutexGuard<'static, Vec<Abandoned>> {
    ABANDONED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fail(uri: &SourceUri, detail: String) -> SourceError {
    SourceError::new(uri, SourceErrorKind::Unreachable, detail)
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::source::Sources;

    const SHORT: Duration = Duration::from_millis(200);

    /// Answers every question but the one for `hang`, which waits until the sender is dropped.
    struct Hanging(Mutex<Receiver<()>>);

    impl KeySource for Hanging {
        fn expand(&self, info: &[u8]) -> Result<DerivedKey, SourceError> {
            if info == b"hang" {
                let _released = self.0.lock().unwrap().recv();
            }
            Ok(DerivedKey::new(Zeroizing::new([7; 32])))
        }
    }

    #[test]
    fn a_question_without_an_answer_is_abandoned_and_not_asked_again_until_it_is_answered() {
        let uri: SourceUri = "exec:hanging-for-a-test".parse().unwrap();
        let (release, released) = mpsc::channel::<()>();
        let source = source(&uri, SHORT, 1, move || Ok(Box::new(Hanging(Mutex::new(released))))).unwrap();
        assert_eq!(source.expand_all(&[b"a".to_vec(), b"b".to_vec()]).unwrap().len(), 2);
        let error = source.expand(b"hang").unwrap_err();
        assert_eq!(error.kind(), SourceErrorKind::Unreachable);
        assert!(error.to_string().contains("exec:hanging-for-a-test: it gave no answer within 2.2 s"), "{error}");
        assert!(source.expand(b"a").is_err(), "an answer could be that of the question before");
        let again = once(&uri, SHORT, || Ok(())).unwrap_err();
        assert!(again.to_string().contains("it has not answered for "), "{again}");
        assert!(once(&"exec:another".parse().unwrap(), Duration::from_secs(60), || Ok(())).is_ok());
        drop((release, source));
        while once(&uri, SHORT, || Ok(())).is_err() {
            thread::yield_now();
        }
    }

    #[test]
    fn a_file_on_a_disk_that_hangs_is_abandoned_too() {
        let uri: SourceUri = "file:on-a-disk-that-hangs".parse().unwrap();
        let sources = Sources::new("/nowhere");
        let error = || sources.signing_seed(&uri).unwrap_err();
        assert_eq!(error().kind(), SourceErrorKind::Missing);
        let (release, released) = mpsc::channel::<()>();
        let hangs = move || {
            let _released = released.recv();
            Ok(())
        };
        let abandoned = once(&uri, SHORT, hangs).unwrap_err();
        assert!(abandoned.to_string().contains("it gave no answer within 0.2 s"), "{abandoned}");
        // A file is opened in the same way, so it is not asked again while that thread waits.
        let refused = error();
        assert_eq!(refused.kind(), SourceErrorKind::Unreachable);
        assert!(refused.to_string().contains("it has not answered for "), "{refused}");
        drop(release);
        while error().kind() != SourceErrorKind::Missing {
            thread::yield_now();
        }
    }
}
