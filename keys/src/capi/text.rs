//! Texts as C has them: read from pointers, and written into arrays.

use std::ffi::{CStr, c_char};

use super::Misuse;

pub(super) const API_KEY_ID_SIZE: usize = 48;
pub(super) const REALM_SIZE: usize = 25;
pub(super) const REASON_SIZE: usize = 32;
pub(super) const SCOPES_SIZE: usize = 241;

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

/// An array of `len` texts; none of them is NULL, the array only where it is empty.
///
/// # Safety
///
/// An array that is not NULL has `len` pointers, each of which is as for [`optional`].
pub(super) unsafe fn list<'a>(array: *const *const c_char, len: usize) -> Result<Vec<&'a str>, Misuse> {
    match (array.is_null(), len) {
        (_, 0) => Ok(Vec::new()),
        (true, _) => Err(Misuse::NullPointer),
        (false, len) => {
            // SAFETY: it is not NULL and has `len` pointers, as the caller promises.
            let pointers = unsafe { std::slice::from_raw_parts(array, len) };
            // SAFETY: each of them is as promised.
            pointers.iter().map(|pointer| unsafe { required(*pointer) }).collect()
        }
    }
}

/// The `len` bytes at `pointer`, whatever they are; NULL only where there are none.
///
/// # Safety
///
/// A pointer that is not NULL leads to `len` bytes, which do not change for `'a`.
pub(super) unsafe fn bytes<'a>(pointer: *const c_char, len: usize) -> Result<&'a [u8], Misuse> {
    match (pointer.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Misuse::NullPointer),
        // SAFETY: it is not NULL and leads to `len` bytes, as the caller promises.
        (false, len) => Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), len) }),
    }
}

/// Puts the whole text into `room`, and a NUL behind it. One with a NUL inside would look shorter than it is.
pub(super) fn write(room: &mut [c_char], text: &str) -> Result<(), Misuse> {
    if text.len() >= room.len() || text.contains('\0') {
        return Err(Misuse::DoesNotFit);
    }
    write_cut(room, text);
    Ok(())
}

/// Puts as much of the text into `room` as fits with a NUL behind it, and no part of a character.
pub(super) fn write_cut(room: &mut [c_char], text: &str) {
    let Some(most) = room.len().checked_sub(1) else { return };
    let end = text.floor_char_boundary(most);
    for (to, byte) in room.iter_mut().zip(text.as_bytes()[..end].iter().chain(&[0])) {
        *to = byte.cast_signed() as c_char;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(room: &[c_char]) -> String {
        let bytes: Vec<u8> = room.iter().map(|char| *char as u8).take_while(|byte| *byte != 0).collect();
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
        let texts = [c"a".as_ptr(), std::ptr::null()];
        // SAFETY: the pointers are NULL or lead to literals, and the lengths are right.
        unsafe {
            assert_eq!((optional(std::ptr::null()), optional(c"a".as_ptr())), (Ok(None), Ok(Some("a"))));
            assert_eq!(required(std::ptr::null()), Err(Misuse::NullPointer));
            assert_eq!(required(c"\xff".as_ptr()), Err(Misuse::NotUtf8));
            assert_eq!((list(std::ptr::null(), 0), list(texts.as_ptr(), 1)), (Ok(vec![]), Ok(vec!["a"])));
            assert_eq!(list(std::ptr::null(), 1), Err(Misuse::NullPointer));
            assert_eq!(list(texts.as_ptr(), 2), Err(Misuse::NullPointer));
            assert_eq!(bytes(std::ptr::null(), 0), Ok(&[][..]));
            assert_eq!(bytes(std::ptr::null(), 1), Err(Misuse::NullPointer));
        }
    }
}
