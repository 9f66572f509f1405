//! The structs and numbers of Envoy's ABI that this module uses.

use std::{ffi::c_void, ptr, slice};

/// Envoy's own object: a filter's configuration or one request. It lives at least as long as the hook that it is handed
/// to.
pub(super) type EnvoyPtr = *mut c_void;

/// What a hook returned, and gets again.
pub(super) type ModulePtr = *const c_void;

/// Bytes that are Envoy's.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct EnvoyBuffer {
    ptr: *const u8,
    length: usize,
}

impl EnvoyBuffer {
    pub(super) const EMPTY: EnvoyBuffer = EnvoyBuffer { ptr: ptr::null(), length: 0 };

    /// The bytes.
    ///
    /// # Safety
    ///
    /// The buffer is one that Envoy filled, and `'b` ends before Envoy may change or free it: with the hook, or with
    /// the next call that changes what was read.
    pub(super) unsafe fn bytes<'b>(self) -> &'b [u8] {
        // SAFETY: the caller vouches for it; Envoy may leave the pointer of an empty buffer null.
        if self.ptr.is_null() { &[] } else { unsafe { slice::from_raw_parts(self.ptr, self.length) } }
    }
}

/// Bytes of this module's. Envoy copies them before a call returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct ModuleBuffer {
    ptr: *const u8,
    length: usize,
}

impl ModuleBuffer {
    /// In the place of a value: none, so that a header is removed.
    pub(super) const NONE: ModuleBuffer = ModuleBuffer { ptr: ptr::null(), length: 0 };

    pub(super) fn of(bytes: &[u8]) -> Self {
        ModuleBuffer { ptr: bytes.as_ptr(), length: bytes.len() }
    }
}

/// A header of a request, Envoy's.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct EnvoyHeader {
    pub(super) name: EnvoyBuffer,
    pub(super) value: EnvoyBuffer,
}

/// A header of a response or a text of the metadata, this module's.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct ModuleHeader {
    name: ModuleBuffer,
    value: ModuleBuffer,
}

impl ModuleHeader {
    pub(super) fn of((name, value): (&str, &str)) -> Self {
        ModuleHeader { name: ModuleBuffer::of(name.as_bytes()), value: ModuleBuffer::of(value.as_bytes()) }
    }
}

/// Which headers are meant: those of the request.
pub(super) const REQUEST_HEADERS: u32 = 0;

/// The attribute `source.address`.
pub(super) const SOURCE_ADDRESS: u32 = 24;

/// The result of a call about metrics.
pub(super) const SUCCESS: u32 = 0;

/// What becomes of a request after a hook. The numbers are those of all such hooks.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Status {
    Continue = 0,
    /// The module has answered.
    StopIteration = 1,
}

/// How serious a line in Envoy's log is.
#[repr(u32)]
#[derive(Clone, Copy)]
pub(crate) enum Level {
    Warn = 3,
    Error = 4,
}
