//! Buffers for notes until they are counted. They belong to no thread.

use std::{
    cell::Cell,
    mem,
    sync::{Mutex, PoisonError},
};

use bulla::ApiKeyId;

/// Most notes in a buffer: 3.7 MB, which a buffer takes once it has been full.
pub(super) const ROOM: usize = 1 << 16;
/// More than the threads that note at the same time.
const BUFFERS: usize = 64;

thread_local! {
    // A hint and no more, for all `Buffers` alike. Threads that note at the same time meet now and then, and the one
    // that finds a buffer taken stays with the next: so busy threads come to lie apart, and no cache line goes to and
    // fro.
    static FREE: Cell<usize> = const { Cell::new(0) };
}

/// One use of an API key.
#[derive(Clone, Copy)]
pub(super) struct Note {
    pub(super) id: ApiKeyId,
    /// In Unix seconds.
    pub(super) at: u64,
}

pub(super) struct Buffers(Box<[Buffer]>);

/// On cache lines of its own, and on the pair of them that processors fetch together.
#[derive(Default)]
#[repr(align(128))]
struct Buffer(Mutex<Vec<Note>>);

impl Buffers {
    pub(super) fn new() -> Self {
        Buffers((0..BUFFERS).map(|_| Buffer::default()).collect())
    }

    /// Adds a note to the first buffer that no other thread uses. Returns whether there was room. Never waits.
    #[inline]
    pub(super) fn push(&self, note: Note) -> bool {
        let first = FREE.get();
        for at in (first..BUFFERS).chain(0..first) {
            if let Ok(mut notes) = self.0[at].0.try_lock() {
                if at != first {
                    FREE.set(at);
                }
                let room = notes.len() < ROOM;
                if room {
                    notes.push(note);
                }
                return room;
            }
        }
        false
    }

    /// Empties every buffer. `spare` is empty before and after. No `push` waits for this or for `each`.
    pub(super) fn drain(&self, spare: &mut Vec<Note>, mut each: impl FnMut(Note)) {
        for Buffer(notes) in &self.0 {
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            // An empty one keeps its memory, which is in the cache of the thread that fills it.
            if !notes.is_empty() {
                mem::swap(&mut *notes, spare);
                drop(notes);
                spare.drain(..).for_each(&mut each);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(buffers: &Buffers) -> Vec<u64> {
        let mut times = Vec::new();
        buffers.drain(&mut Vec::new(), |note| times.push(note.at));
        times
    }

    fn note(at: u64) -> Note {
        Note { id: "live_00000XzbyFf5rOyRXQyt8V".parse().expect("an id"), at }
    }

    #[test]
    fn a_buffer_that_is_taken_is_passed_over() {
        let buffers = Buffers::new();
        let taken: Vec<_> = buffers.0[1..].iter().map(|buffer| buffer.0.lock().expect("free")).collect();
        FREE.set(5);
        assert!(buffers.push(note(1)));
        assert_eq!(FREE.get(), 0, "the thread stays where it found room");
        drop(taken);
        assert!(buffers.push(note(2)));
        assert_eq!(buffers.0[0].0.lock().expect("free").len(), 2);
        assert_eq!(drained(&buffers), [1, 2]);
        assert!(drained(&buffers).is_empty());
    }

    #[test]
    fn where_all_are_taken_nobody_waits() {
        let buffers = Buffers::new();
        let taken: Vec<_> = buffers.0.iter().map(|buffer| buffer.0.lock().expect("free")).collect();
        assert!(!buffers.push(note(1)));
        drop(taken);
        assert!(drained(&buffers).is_empty());
    }
}
