//! A writer that never blocks: it queues lines for a thread of its own, and drops lines that find no room.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use bulla::ApiKey;

/// How long shutdown waits for queued lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Queues each piece that is written, as one line.
#[derive(Clone)]
pub(crate) struct Queue {
    entries: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

enum Entry {
    Line(Vec<u8>),
    /// To be answered once all lines before it are written.
    End(SyncSender<()>),
}

/// Waits a moment for queued lines when it is dropped.
pub(crate) struct LastLines(Queue);

impl Queue {
    /// Starts a thread that writes to `out`, with at most `most` queued lines.
    pub(crate) fn start(most: usize, out: impl Write + Send + 'static) -> io::Result<(Self, LastLines)> {
        let (entries, queued) = sync_channel(most);
        thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&queued, out))?;
        let queue = Queue { entries, dropped: Arc::default() };
        Ok((queue.clone(), LastLines(queue)))
    }

    /// The count of dropped lines.
    pub(crate) fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }
}

/// A line that cannot be written is lost, and the next one is tried: there is no place left to report it.
fn write_all(queued: &Receiver<Entry>, mut out: impl Write) {
    for entry in queued {
        match entry {
            Entry::Line(line) => drop(out.write_all(&line)),
            Entry::End(written) => drop(out.flush().map(|()| written.try_send(()))),
        }
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // No line holds an API key, whatever it says.
        let text = String::from_utf8_lossy(line);
        let line_without_keys = ApiKey::redact(&text).into_owned().into_bytes();
        if self.entries.try_send(Entry::Line(line_without_keys)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LastLines {
    fn drop(&mut self) {
        let (end, written) = sync_channel(1);
        let deadline = Instant::now() + LAST_LINES;
        while self.0.entries.try_send(Entry::End(end.clone())).is_err() {
            if Instant::now() >= deadline {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _or_too_late = written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    /// A reader that takes a line at each request.
    struct Stalling(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Stalling {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.lock().expect("what was written").extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_without_room_are_counted_and_the_others_written_in_order() {
        let (go_on, stall) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut queue, last_lines) = Queue::start(3, Stalling(stall, Arc::clone(&written))).expect("a thread");
        let dropped = queue.dropped();
        for line in 0..100_u8 {
            queue.write_all(&[line]).expect("it never fails");
        }
        let lost = dropped.load(Ordering::Relaxed);
        // One may be with the writer beside those three.
        assert!(lost == 96 || lost == 97, "{lost}");
        (0..100).for_each(|_| go_on.send(()).expect("the reader"));
        let all = || written.lock().expect("what was written").clone();
        while all().len() + lost as usize != 100 {
            thread::yield_now();
        }
        drop(last_lines);
        // The writer makes room when it takes the first one, whenever that is.
        assert!(all()[..3] == [0, 1, 2] && all()[3..].iter().all(|line| *line > 2), "{:?}", all());
    }

    #[test]
    fn a_line_has_no_api_key_in_it() {
        let (go_on, stall) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut queue, last_lines) = Queue::start(1, Stalling(stall, Arc::clone(&written))).expect("a thread");
        let key = "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";
        queue.write_all(format!("{{\"error\":\"no file {key}\"}}\n").as_bytes()).expect("it never fails");
        go_on.send(()).expect("the reader");
        while written.lock().expect("what was written").is_empty() {
            thread::yield_now();
        }
        drop(last_lines);
        let written = written.lock().expect("what was written");
        assert_eq!(*written, "{\"error\":\"no file acme_live_00000XzbyFf5rOyRXQyt8V…\"}\n".as_bytes());
    }

    #[test]
    fn the_end_does_not_wait_for_ever() {
        let (_never, stall) = mpsc::channel();
        let (mut queue, last_lines) = Queue::start(1, Stalling(stall, Arc::default())).expect("a thread");
        queue.write_all(b"lost").expect("it never fails");
        drop(last_lines);
    }
}
