//! nginx's strings: a length and a pointer, without NUL.

use std::{ffi::CStr, ptr, slice};

use bulla_nginx_bindings::{ngx_pnalloc, ngx_pool_t, ngx_str_t};

/// No text.
pub(crate) const NONE: ngx_str_t = ngx_str_t { len: 0, data: ptr::null_mut() };

/// A text that lives as long as the library, which nginx does not write to. It ends in a NUL, as nginx's own do: some
/// of nginx compares up to that.
pub(crate) const fn of(text: &'static CStr) -> ngx_str_t {
    ngx_str_t { len: text.count_bytes(), data: text.as_ptr().cast::<u8>().cast_mut() }
}

/// The bytes of `text`.
///
/// # Safety
///
/// The text is one of nginx's, and lives for `'a`.
pub(crate) unsafe fn bytes<'a>(text: ngx_str_t) -> &'a [u8] {
    match text.data.is_null() {
        true => &[],
        // SAFETY: nginx keeps `len` bytes at `data`.
        false => unsafe { slice::from_raw_parts(text.data, text.len) },
    }
}

/// Memory of a pool that is filled with copies of texts, one behind the other and each with a NUL: one allocation for
/// all.
pub(crate) struct Copies {
    next: *mut u8,
    left: usize,
}

impl Copies {
    /// The bytes that a text takes.
    pub(crate) fn size(text: &str) -> usize {
        text.len() + 1
    }

    /// Room for `size` bytes, or nothing if there is no memory.
    ///
    /// # Safety
    ///
    /// `pool` is a pool of nginx.
    pub(crate) unsafe fn new(pool: *mut ngx_pool_t, size: usize) -> Option<Copies> {
        // SAFETY: the caller's.
        let next: *mut u8 = unsafe { ngx_pnalloc(pool, size.max(1)) }.cast();
        (!next.is_null()).then_some(Copies { next, left: size })
    }

    /// Copies `text`; empty where there is no room for it.
    pub(crate) fn add(&mut self, text: &str) -> ngx_str_t {
        if text.is_empty() || Self::size(text) > self.left {
            return NONE;
        }
        let copy = ngx_str_t { len: text.len(), data: self.next };
        // SAFETY: `left` bytes at `next` are this allocation's, and nobody else's yet.
        unsafe {
            ptr::copy_nonoverlapping(text.as_ptr(), self.next, text.len());
            self.next.add(text.len()).write(0);
            self.next = self.next.add(Self::size(text));
        }
        self.left -= Self::size(text);
        copy
    }
}
