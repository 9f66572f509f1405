//! Published files in a folder of this machine. A disk or a mount may hang in a call that nothing interrupts, so a
//! thread of its own reads, which can be abandoned; and a named pipe in the place of a file is refused at once.

use std::{
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    interrupt::{self, Interrupt},
    source::open_regular_file,
};

/// The longest time for one read.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The time between two looks whether anybody still wants the answer.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How much of a long file is read at once.
const PIECE: usize = 1 << 20;

pub(super) struct LocalFolder {
    path: PathBuf,
    limit: Duration,
    /// Alive while an abandoned thread still waits. As long as it does the disk is not asked again: threads would pile
    /// up.
    abandoned: Mutex<Weak<()>>,
}

/// A long file, read piece by piece.
struct Pieces<'f> {
    folder: &'f LocalFolder,
    name: String,
    interrupt: &'f Interrupt,
    /// Where the next piece begins.
    next: u64,
    piece: io::Cursor<Vec<u8>>,
}

impl LocalFolder {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        LocalFolder { path: path.into(), limit: TIME_LIMIT, abandoned: Mutex::default() }
    }

    /// A file from this byte on: at most so many bytes, or one byte more of a longer one.
    pub(super) fn read(&self, name: &str, from: u64, most: usize, interrupt: &Interrupt) -> io::Result<Vec<u8>> {
        let path = self.path.join(name);
        let read = move || {
            let (mut file, mut bytes) = (open_regular_file(&path)?, Vec::new());
            file.seek(SeekFrom::Start(from))?;
            // One more, so that too many are seen to be.
            file.take(most as u64 + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        self.wait_for(read, interrupt)
    }

    /// A long file from this byte on.
    pub(super) fn open<'f>(
        &'f self,
        name: &str,
        from: u64,
        interrupt: &'f Interrupt,
    ) -> io::Result<impl Read + use<'f>> {
        let piece = io::Cursor::new(Vec::new());
        let mut pieces = Pieces { folder: self, name: name.to_owned(), interrupt, next: from, piece };
        // A file that is not there is an error now.
        pieces.go_on()?;
        Ok(pieces)
    }

    /// What `work` comes to, on a thread of its own; an error if that takes too long, or nobody wants it any more.
    fn wait_for<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
        interrupt: &Interrupt,
    ) -> io::Result<T> {
        let slow = |what: String| io::Error::new(io::ErrorKind::TimedOut, format!("{what}: see that the disk is up"));
        if self.abandoned().strong_count() > 0 {
            return Err(slow("an earlier question to this folder has no answer yet".to_owned()));
        }
        let (alive, (tell, told)) = (Arc::new(()), mpsc::channel());
        let waits = Arc::downgrade(&alive);
        thread::Builder::new().name("bulla-files".to_owned()).spawn(move || {
            let _alive = alive;
            // Nobody listens any more once it was abandoned.
            let _late = tell.send(work());
        })?;
        let until = Instant::now() + self.limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let error = match told.recv_timeout(left.min(POLL_INTERVAL)) {
                Ok(done) => return done,
                Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("reading it ended in a defect")),
                Err(RecvTimeoutError::Timeout) if interrupt.is_stopped() => interrupt::stopped(),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    slow(format!("there was no answer within {} s", self.limit.as_secs_f32()))
                }
                Err(RecvTimeoutError::Timeout) => continue,
            };
            *self.abandoned() = waits;
            return Err(error);
        }
    }

    fn abandoned(&self) -> MutexGuard<'_, Weak<()>> {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pieces<'_> {
    fn go_on(&mut self) -> io::Result<()> {
        let piece = self.folder.read(&self.name, self.next, PIECE, self.interrupt)?;
        self.next += piece.len() as u64;
        self.piece = io::Cursor::new(piece);
        Ok(())
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.piece.position() == self.piece.get_ref().len() as u64 {
            self.go_on()?;
        }
        self.piece.read(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn limited(limit: Duration) -> (tempfile::TempDir, LocalFolder) {
        let folder = tempfile::tempdir().expect("a folder");
        let local = LocalFolder { limit, ..LocalFolder::new(folder.path()) };
        (folder, local)
    }

    #[test]
    fn files_are_read_whole_and_in_pieces() {
        let ((folder, local), interrupt) = (limited(LONG), Interrupt::default());
        let content: Vec<u8> = (0..2 * PIECE + 7).map(|at| (at % 251) as u8).collect();
        fs::write(folder.path().join("long"), &content).expect("written");
        assert!(local.read("long", 0, content.len(), &interrupt).expect("read") == content);
        assert_eq!(local.read("long", 3, 4, &interrupt).expect("read"), content[3..8], "one more than may be");
        let mut rest = Vec::new();
        local.open("long", 5, &interrupt).expect("opened").read_to_end(&mut rest).expect("read");
        assert!(rest == content[5..]);
        assert_eq!(local.open("none", 0, &interrupt).err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
    }

    #[cfg(unix)]
    #[test]
    fn a_named_pipe_is_refused_at_once() {
        let ((folder, local), interrupt) = (limited(LONG), Interrupt::default());
        let made = std::process::Command::new("mkfifo").arg(folder.path().join("head")).status();
        assert!(made.expect("mkfifo runs").success());
        for error in [local.read("head", 0, 9, &interrupt).err(), local.open("head", 0, &interrupt).err()] {
            assert_eq!(error.expect("refused").to_string(), "it is not a regular file");
        }
    }

    #[test]
    fn a_disk_that_hangs_is_abandoned_and_not_asked_again_until_it_answers() {
        let ((folder, local), interrupt) = (limited(Duration::from_millis(10)), Interrupt::default());
        fs::write(folder.path().join("head"), "x").expect("written");
        let (release, released) = mpsc::channel::<()>();
        let hang = move || {
            let _released = released.recv();
            Ok(())
        };
        let error = local.wait_for(hang, &interrupt).expect_err("too slow").to_string();
        assert!(error.contains("no answer within 0.01 s: see that the disk is up"), "{error}");
        let error = local.read("head", 0, 9, &interrupt).expect_err("not asked").to_string();
        assert!(error.contains("an earlier question to this folder has no answer yet"), "{error}");
        drop(release);
        let local = LocalFolder { limit: LONG, ..local };
        while local.read("head", 0, 9, &interrupt).is_err() {
            thread::yield_now();
        }
    }

    #[test]
    fn a_question_ends_when_nobody_wants_its_answer_any_more() {
        let ((_folder, local), interrupt) = (limited(LONG), Interrupt::default());
        let (release, released) = mpsc::channel::<()>();
        let stop = interrupt.clone();
        let hang = move || {
            stop.stop();
            let _released = released.recv();
            Ok(())
        };
        let error = local.wait_for(hang, &interrupt).expect_err("stopped");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        drop(release);
    }
}
