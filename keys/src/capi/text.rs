//! Texts as C has them: read from pointers, and written into arrays.

use std::ffi::{CStr, c_char, c_int};

use super::{ACCEPTED, FAILED, Failure, Misuse, caught};

/// The text at `pointer`; none where that is NULL.
///
/// # Safety
///
/// A pointer that is not NULL leads to bytes with a NUL at their end, which do not change for `'a`.
pub(super) unsafe fn optional<'a>(pointer: *const c_char) -> Result<Option<&'a str>, Misuse> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: it is not NULL, and the rest is what the caller promises.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(Some).map_err(|_| Misuse::NotUtf8)
}

/// The text at `pointer`, which must not be NULL.
///
/// # Safety
///
/// As for [`optional`].
pub(super) unsafe fn required<'a>(pointer: *const c_char) -> Result<&'a str, Misuse> {
    // SAFETY: what it needs is what the caller promises.
    unsafe { optional(pointer) }?.ok_or(Misuse::NullPointer)
}

/// An array of `len` elements; NULL only where it is empty.
///
/// # Safety
///
/// An array that is not NULL has `len` elements, which do not change for `'a`.
pub(super) unsafe fn array<'a, T>(array: *const T, len: usize) -> Result<&'a [T], Misuse> {
    match (array.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Misuse::NullPointer),
        // SAFETY: it is not NULL and has `len` elements, as the caller promises.
        (false, len) => Ok(unsafe { std::slice::from_raw_parts(array, len) }),
    }
}

/// The `len` bytes at `pointer`; none where that is NULL.
///
/// # Safety
///
/// A pointer that is not NULL leads to `len` bytes, which do not change for `'a`.
pub(super) unsafe fn some_bytes<'a>(pointer: *const c_char, len: usize) -> Option<&'a [u8]> {
    // SAFETY: it is not NULL and leads to `len` bytes, as the caller promises.
    (!pointer.is_null()).then(|| unsafe { std::slice::from_raw_parts(pointer.cast(), len) })
}

/// The `len` bytes at `pointer`, which need not be UTF-8; NULL only where there are none.
///
/// # Safety
///
/// A pointer that is not NULL leads to `len` bytes, which do not change for `'a`.
pub(super) unsafe fn bytes<'a>(pointer: *const c_char, len: usize) -> Result<&'a [u8], Misuse> {
    // SAFETY: it is as the caller promises.
    unsafe { array(pointer.cast(), len) }
}

/// Room for a text, wiped; none where there is none.
///
/// # Safety
///
/// A pointer that is not NULL leads to room for `size` bytes, which nobody else uses for `'a`.
pub(super) unsafe fn room<'a>(pointer: *mut c_char, size: usize) -> Option<&'a mut [u8]> {
    if pointer.is_null() || size == 0 {
        return None;
    }
    // SAFETY: the caller promises that there is room for so many.
    unsafe {
        pointer.write_bytes(0, size);
        Some(std::slice::from_raw_parts_mut(pointer.cast(), size))
    }
}

/// Does `work`, and writes into `error` why it failed.
///
/// # Safety
///
/// As for [`room`].
pub(super) unsafe fn done((error, size): (*mut c_char, usize), work: impl FnOnce() -> Result<(), Failure>) -> c_int {
    match caught(work).unwrap_or(Err(Failure::Panic)) {
        Ok(()) => ACCEPTED,
        Err(why) => {
            // SAFETY: it is as the caller promises.
            if let Some(room) = unsafe { room(error, size) } {
                write_cut(room, &why.to_string());
            }
            FAILED
        }
    }
}

/// Makes something for the caller, who gives it back with [`free`]. Where that fails the place is NULL.
///
/// # Safety
///
/// `place` is NULL or may be written; the rest is as for [`room`].
pub(super) unsafe fn hand_out<T>(
    place: *mut *mut T,
    error: (*mut c_char, usize),
    make: impl FnOnce() -> Result<T, Failure>,
) -> c_int {
    let mut made = std::ptr::null_mut();
    let work = || {
        if place.is_null() {
            return Err(Misuse::NullPointer.into());
        }
        made = Box::into_raw(Box::new(make()?));
        Ok(())
    };
    // SAFETY: it is as the caller promises.
    let status = unsafe { done(error, work) };
    if !place.is_null() {
        // SAFETY: it is not NULL, and may be written, as the caller promises.
        unsafe { place.write(made) };
    }
    status
}

/// Frees what [`hand_out`] made. NULL is allowed.
///
/// # Safety
///
/// `made` is NULL or came from [`hand_out`], and is not used any more.
pub(super) unsafe fn free<T>(made: *mut T) {
    if !made.is_null() {
        // SAFETY: `hand_out` made it with `Box::into_raw`, and the caller gives it back once.
        let made = unsafe { Box::from_raw(made) };
        caught(|| drop(made));
    }
}

/// A place for texts, one behind the other, each of which is written whole or not at all.
pub(super) struct Room<'r> {
    room: &'r mut [u8],
    at: usize,
}

impl<'r> Room<'r> {
    pub(super) fn new(room: &'r mut [u8]) -> Self {
        Room { room, at: 0 }
    }

    /// Adds a text. One with a NUL inside would look shorter than it is.
    pub(super) fn put(&mut self, text: &str) -> Result<(), Misuse> {
        let places = self.room.get_mut(self.at..self.at + text.len()).ok_or(Misuse::DoesNotFit)?;
        places.copy_from_slice(text.as_bytes());
        self.at += text.len();
        if memchr::memchr(0, text.as_bytes()).is_some() { Err(Misuse::DoesNotFit) } else { Ok(()) }
    }

    /// Puts a NUL behind the text.
    pub(super) fn end(&mut self) -> Result<(), Misuse> {
        *self.room.get_mut(self.at).ok_or(Misuse::DoesNotFit)? = 0;
        self.at += 1;
        Ok(())
    }
}

/// Puts the whole text into `room`, and a NUL behind it.
pub(super) fn write(room: &mut [u8], text: &str) -> Result<(), Misuse> {
    let mut room = Room::new(room);
    room.put(text)?;
    room.end()
}

/// Puts as much of the text into `room` as fits with a NUL behind it, and no part of a character.
pub(super) fn write_cut(room: &mut [u8], text: &str) {
    let Some(most) = room.len().checked_sub(1) else { return };
    let end = text.floor_char_boundary(most);
    room[..end].copy_from_slice(&text.as_bytes()[..end]);
    room[end] = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(room: &[u8]) -> String {
        let bytes: Vec<u8> = room.iter().copied().take_while(|byte| *byte != 0).collect();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn a_text_is_written_whole_or_not_at_all() {
        let mut room = [1; 4];
        assert_eq!((write(&mut room, "abc"), written(&room)), (Ok(()), "abc".to_owned()));
        assert_eq!(write(&mut room, "abcd"), Err(Misuse::DoesNotFit));
        assert_eq!(write(&mut room, "a\0c"), Err(Misuse::DoesNotFit));
        assert_eq!((write(&mut room, ""), written(&room)), (Ok(()), String::new()));
        assert_eq!(write(&mut [], ""), Err(Misuse::DoesNotFit));
    }

    #[test]
    fn an_error_is_cut_between_characters() {
        let mut room = [1; 4];
        for (text, cut) in [("abcdef", "abc"), ("ab\u{e9}", "ab"), ("a\u{e9}b", "a\u{e9}"), ("", "")] {
            write_cut(&mut room, text);
            assert_eq!(written(&room), cut);
        }
        write_cut(&mut [], "abc");
    }

    #[test]
    fn null_is_only_for_what_may_be_missing() {
        // SAFETY: the pointers are NULL or lead to literals, and the lengths are right.
        unsafe {
            assert_eq!((optional(std::ptr::null()), optional(c"a".as_ptr())), (Ok(None), Ok(Some("a"))));
            assert_eq!(required(std::ptr::null()), Err(Misuse::NullPointer));
            assert_eq!(required(c"\xff".as_ptr()), Err(Misuse::NotUtf8));
            assert_eq!(array(std::ptr::null::<u8>(), 0), Ok(&[][..]));
            assert_eq!(array(std::ptr::null::<u8>(), 1), Err(Misuse::NullPointer));
            assert_eq!(array([1, 2].as_ptr(), 2), Ok(&[1, 2][..]));
            assert_eq!((some_bytes(std::ptr::null(), 1), some_bytes(c"a".as_ptr(), 1)), (None, Some(&b"a"[..])));
            assert_eq!(bytes(std::ptr::null(), 0), Ok(&[][..]));
            assert_eq!(bytes(std::ptr::null(), 1), Err(Misuse::NullPointer));
        }
    }
}
