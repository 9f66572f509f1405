//! The list of a request's headers: arrays that are chained, whose elements other parts of nginx point to. So an
//! element is never moved: it is overwritten, or cut out.

use std::{ffi::CStr, ptr};

use bulla_nginx_bindings::{ngx_list_part_t, ngx_list_push, ngx_list_t, ngx_palloc, ngx_str_t, ngx_table_elt_t};

use crate::text;

/// A header that this module sets.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    /// As it is sent.
    shown: &'static CStr,
    /// The same in lower case, by which nginx looks for it.
    lower: &'static CStr,
    /// By which nginx looks for it, too.
    hash: usize,
}

impl Name {
    pub(crate) const fn new(shown: &'static CStr, lower: &'static CStr) -> Name {
        Name { shown, lower, hash: hash(lower) }
    }
}

/// A place in the list of headers. It begins before the first.
pub(crate) struct Cursor {
    list: *mut ngx_list_t,
    before: *mut ngx_list_part_t,
    part: *mut ngx_list_part_t,
    at: usize,
}

impl Cursor {
    /// # Safety
    ///
    /// `list` is a list of headers, and outlives the cursor; nobody else changes it meanwhile.
    pub(crate) unsafe fn new(list: *mut ngx_list_t) -> Cursor {
        // SAFETY: the caller's.
        Cursor { list, before: ptr::null_mut(), part: unsafe { &raw mut (*list).part }, at: 0 }
    }

    /// The header here, if there is one.
    pub(crate) fn here(&mut self) -> Option<&mut ngx_table_elt_t> {
        // SAFETY: parts are chained up to a null pointer, and have `nelts` elements each.
        unsafe {
            while self.at >= (*self.part).nelts {
                if (*self.part).next.is_null() {
                    return None;
                }
                (self.before, self.part, self.at) = (self.part, (*self.part).next, 0);
            }
            Some(&mut *(*self.part).elts.cast::<ngx_table_elt_t>().add(self.at))
        }
    }

    /// Goes on to the next one.
    pub(crate) fn skip(&mut self) {
        self.at += 1;
    }

    /// Cuts out the header here; the next one is here then. False if there is no memory.
    ///
    /// Others read a part without asking whether it is empty, unless it is the first, so none becomes empty. Others
    /// also add to the last part as long as it has fewer elements than `nalloc`, so that is set to what it has: the
    /// next one begins a new part.
    pub(crate) fn cut(&mut self) -> bool {
        // SAFETY: as in `here`, which the caller asked before; every pointer is one of the list's.
        unsafe {
            let part = self.part;
            let behind = (*part).nelts - self.at - 1;
            let rest = (*part).elts.cast::<ngx_table_elt_t>().add(self.at + 1).cast();
            let first = self.before.is_null();
            if behind == 0 && (self.at > 0 || first) {
                (*part).nelts = self.at;
            } else if behind == 0 {
                (*self.before).next = (*part).next;
                if (*self.list).last == part {
                    (*self.list).last = self.before;
                }
                // The end of the part before, from which `here` goes on.
                (self.part, self.at) = (self.before, (*self.before).nelts);
                self.before = self.before_of(self.part);
            } else if self.at == 0 && !first {
                ((*part).elts, (*part).nelts) = (rest, behind);
            } else {
                let tail: *mut ngx_list_part_t = ngx_palloc((*self.list).pool, size_of::<ngx_list_part_t>()).cast();
                if tail.is_null() {
                    return false;
                }
                tail.write(ngx_list_part_t { elts: rest, nelts: behind, next: (*part).next });
                ((*part).nelts, (*part).next) = (self.at, tail);
                if (*self.list).last == part {
                    (*self.list).last = tail;
                }
            }
            (*self.list).nalloc = (*(*self.list).last).nelts.max(1);
            true
        }
    }

    /// The part before `part`, or null for the first.
    unsafe fn before_of(&self, part: *mut ngx_list_part_t) -> *mut ngx_list_part_t {
        // SAFETY: as in `here`.
        unsafe {
            let mut at = &raw mut (*self.list).part;
            if at == part {
                return ptr::null_mut();
            }
            while (*at).next != part {
                at = (*at).next;
            }
            at
        }
    }
}

/// Makes `header` this one.
pub(crate) fn set(header: &mut ngx_table_elt_t, name: Name, value: ngx_str_t) {
    // SAFETY: all of it are numbers and pointers; newer versions have a pointer to the next header of that name, which
    // is null.
    *header = unsafe { std::mem::zeroed() };
    header.hash = name.hash;
    header.key = text::of(name.shown);
    header.value = value;
    header.lowcase_key = name.lower.as_ptr().cast::<u8>().cast_mut();
}

/// Adds a header, and returns it, unless there is no memory.
///
/// # Safety
///
/// `list` is a list of headers.
pub(crate) unsafe fn push(list: *mut ngx_list_t, name: Name, value: ngx_str_t) -> Option<*mut ngx_table_elt_t> {
    // SAFETY: the caller's; a new element belongs to the caller.
    let header: *mut ngx_table_elt_t = unsafe { ngx_list_push(list) }.cast();
    if header.is_null() {
        return None;
    }
    // Its memory is new: to write to it reads nothing.
    unsafe {
        header.write(std::mem::zeroed());
        set(&mut *header, name, value);
    }
    Some(header)
}

/// nginx's hash of a name.
const fn hash(lower: &CStr) -> usize {
    let (bytes, mut hash, mut at) = (lower.to_bytes(), 0_usize, 0);
    while at < bytes.len() {
        hash = hash.wrapping_mul(31).wrapping_add(bytes[at] as usize);
        at += 1;
    }
    hash
}

/// Whether an application may take `name` for `lower`: those that derive variables from names do not tell `_` and `.`
/// from `-`.
pub(crate) fn is_alias(name: &[u8], lower: &[u8]) -> bool {
    name.len() == lower.len() && begins_like(name, lower)
}

/// Whether `name` begins with `lower`, or with what an application may take for it.
pub(crate) fn begins_like(name: &[u8], lower: &[u8]) -> bool {
    let same = |(byte, wanted): (&u8, &u8)| match *wanted {
        b'-' => !byte.is_ascii_alphanumeric(),
        wanted => byte.to_ascii_lowercase() == wanted,
    };
    name.len() >= lower.len() && name.iter().zip(lower).all(same)
}
