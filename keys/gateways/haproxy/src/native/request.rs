//! A request, as an action of HAProxy's sees it.

use std::ffi::{CStr, c_int, c_void};

use super::abi::{Find, Found, Functions, Htx, Ist, Sample, Stream};

/// Of a header with several values all of them, and not the first.
const WHOLE: c_int = 1;

/// A request. It is valid in the call that hands it over.
pub(super) struct Request {
    haproxy: &'static Functions,
    message: *mut Htx,
    stream: *const Stream,
    session: *const c_void,
}

impl Request {
    /// Nothing if the stream does not look as one with a request in it does.
    ///
    /// # Safety
    /// HAProxy handed the stream and its session to an action, which has not returned yet.
    pub(super) unsafe fn of(
        haproxy: &'static Functions,
        stream: *const Stream,
        session: *const c_void,
    ) -> Option<Self> {
        // SAFETY: the caller's promise.
        let at = unsafe { stream.as_ref() }?;
        let (buffer, message) = (&at.request, at.request.area.cast::<Htx>());
        let is_full = buffer.head == 0 && buffer.data == buffer.size && buffer.size > size_of::<Htx>();
        if at.session != session || !is_full || message.is_null() || !message.is_aligned() {
            return None;
        }
        // SAFETY: the buffer is larger than the message's beginning.
        let (size, head) = unsafe { ((*message).size as usize, (*message).head) };
        (size + size_of::<Htx>() == buffer.size && head >= 0).then_some(Request { haproxy, message, stream, session })
    }

    /// Hands over the value of each header of this name. They are gone once the request is changed.
    pub(super) fn each<'r>(&'r self, name: &str, mut found: impl FnMut(&'r [u8])) {
        let mut at = Found::NONE;
        // SAFETY: the message is valid, and `at` is where HAProxy left it.
        while unsafe { (self.haproxy.find)(self.message, Ist::of(name.as_bytes()), &raw mut at, WHOLE) } != 0 {
            // SAFETY: HAProxy found it in the message, which stays as it is while it is borrowed. An empty value is not
            // read.
            found(if at.value.len == 0 {
                &[]
            } else {
                unsafe { std::slice::from_raw_parts(at.value.text, at.value.len) }
            });
        }
    }

    /// Removes every header of this name.
    pub(super) fn remove(&mut self, name: &str) {
        self.remove_all(self.haproxy.find, name);
    }

    /// Removes every header whose name begins so.
    pub(super) fn remove_prefix(&mut self, prefix: &str) {
        self.remove_all(self.haproxy.find_prefix, prefix);
    }

    fn remove_all(&mut self, find: Find, name: &str) {
        let mut at = Found::NONE;
        // SAFETY: as in `each`; nothing of the message is borrowed.
        unsafe {
            while find(self.message, Ist::of(name.as_bytes()), &raw mut at, WHOLE) != 0 {
                (self.haproxy.remove)(self.message, &raw mut at);
            }
        }
    }

    /// Adds a header; false if there is no room for it.
    pub(super) fn add(&mut self, name: &str, value: &str) -> bool {
        // SAFETY: the message is valid, and HAProxy copies both.
        unsafe { (self.haproxy.add)(self.message, Ist::of(name.as_bytes()), Ist::of(value.as_bytes())) != 0 }
    }

    /// Sets a variable; false if there is no memory for it.
    pub(super) fn set_variable(&mut self, name: &'static CStr, text: &[u8]) -> bool {
        let mut sample = Sample::of(text, self.stream, self.session);
        // SAFETY: HAProxy copies name and text, and the stream and its session are valid.
        unsafe { (self.haproxy.set_variable)(name.as_ptr(), name.count_bytes(), &raw mut sample) != 0 }
    }
}
