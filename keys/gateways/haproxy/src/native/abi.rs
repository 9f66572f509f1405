//! The structures and functions of HAProxy 2.6 that the action needs. Of a structure only its beginning is here.

#![allow(dead_code, reason = "HAProxy reads and writes the fields")]

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    mem, ptr,
    sync::OnceLock,
};

/// The branch whose structures these are.
const BRANCH: &[u8] = b"2.6.";

/// `struct ist`: a text by its length.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Ist {
    pub(super) text: *const u8,
    pub(super) len: usize,
}

impl Ist {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Ist { text: bytes.as_ptr(), len: bytes.len() }
    }
}

/// `struct buffer`.
#[repr(C)]
pub(super) struct Buffer {
    pub(super) size: usize,
    pub(super) area: *mut c_void,
    pub(super) data: usize,
    pub(super) head: usize,
}

/// `struct htx`: a message in a buffer. Blocks follow it.
#[repr(C)]
pub(super) struct Htx {
    pub(super) size: u32,
    data: u32,
    tail: i32,
    pub(super) head: i32,
    first: i32,
    addresses: [u32; 3],
    extra: u64,
    flags: u32,
    unused: u32,
}

/// `struct http_hdr_ctx`: a header that was found.
#[repr(C)]
pub(super) struct Found {
    block: *const c_void,
    pub(super) value: Ist,
    spaces: [u16; 2],
}

impl Found {
    pub(super) const NONE: Found =
        Found { block: ptr::null(), value: Ist { text: ptr::null(), len: 0 }, spaces: [0; 2] };
}

/// `struct stream`, as far as its request's buffer.
#[repr(C)]
pub(super) struct Stream {
    kind: u8,
    state: u8,
    priority: i16,
    priority_offset: i32,
    flags: c_int,
    id: u32,
    target: *const c_void,
    pub(super) session: *const c_void,
    channel: [u32; 2],
    pub(super) request: Buffer,
}

/// `struct sample` with a text in it.
#[repr(C)]
pub(super) struct Sample {
    flags: u32,
    padding: u32,
    kind: c_int,
    text: Buffer,
    rest: usize,
    context: [usize; 8],
    proxy: *const c_void,
    session: *const c_void,
    stream: *const Stream,
    options: u32,
}

/// `SMP_T_STR`.
const TEXT: c_int = 6;

impl Sample {
    pub(super) fn of(text: &[u8], stream: *const Stream, session: *const c_void) -> Self {
        // Without a size HAProxy copies the text, and never writes into it.
        let text = Buffer { size: 0, area: text.as_ptr().cast_mut().cast(), data: text.len(), head: 0 };
        Sample {
            flags: 0,
            padding: 0,
            kind: TEXT,
            text,
            rest: 0,
            context: [0; 8],
            proxy: ptr::null(),
            session,
            stream,
            options: 0,
        }
    }
}

/// `struct action_kw`.
#[repr(C)]
pub(super) struct Keyword {
    pub(super) name: *const c_char,
    pub(super) parse: Option<Parse>,
    pub(super) flags: c_int,
    pub(super) private: *const c_void,
}

/// `struct action_kw_list` with one keyword.
#[repr(C)]
pub(super) struct Keywords {
    pub(super) links: [*const c_void; 2],
    pub(super) keyword: Keyword,
    pub(super) end: Keyword,
}

/// `struct act_rule`, as far as its keyword.
#[repr(C)]
pub(super) struct Rule {
    links: [*const c_void; 2],
    condition: *const c_void,
    action: u32,
    flags: u32,
    pub(super) from: u32,
    pub(super) run: Option<Run>,
    check: *const c_void,
    release: *const c_void,
    pub(super) keyword: *const Keyword,
}

// As the headers of 2.6 have it on a machine of 64 bits.
const _: () = {
    assert!(size_of::<Htx>() == 48 && mem::offset_of!(Stream, request) == 40 && mem::offset_of!(Stream, session) == 24);
    assert!(mem::offset_of!(Sample, text) == 16 && mem::offset_of!(Sample, stream) == 136 && size_of::<Found>() == 32);
    assert!(mem::offset_of!(Rule, run) == 40 && mem::offset_of!(Rule, keyword) == 64 && size_of::<Keyword>() == 32);
};

/// `ACT_F_HTTP_REQ`: the rule is an `http-request`.
pub(super) const HTTP_REQUEST: u32 = 4;

/// `ACT_RET_PRS_OK` and `ACT_RET_PRS_ERR`.
pub(super) const PARSED: c_int = 0;
pub(super) const MISTAKE: c_int = 1;

/// `ACT_RET_CONT` and `ACT_RET_ERR`, which ends the request with a 500.
pub(super) const CONTINUE: c_int = 0;
pub(super) const ERROR: c_int = 3;

pub(super) type Parse =
    unsafe extern "C" fn(*const *const c_char, *mut c_int, *const c_void, *mut Rule, *mut *mut c_char) -> c_int;
pub(super) type Run = unsafe extern "C" fn(*const Rule, *const c_void, *const c_void, *mut Stream, c_int) -> c_int;
pub(super) type Find = unsafe extern "C" fn(*const Htx, Ist, *mut Found, c_int) -> c_int;

/// HAProxy's functions.
pub(super) struct Functions {
    pub(super) register: unsafe extern "C" fn(*mut Keywords),
    pub(super) say: unsafe extern "C" fn(*mut *mut c_char, *const c_char, ...) -> *mut c_char,
    pub(super) find: Find,
    pub(super) find_prefix: Find,
    pub(super) remove: unsafe extern "C" fn(*mut Htx, *mut Found) -> c_int,
    pub(super) add: unsafe extern "C" fn(*mut Htx, Ist, Ist) -> c_int,
    pub(super) set_variable: unsafe extern "C" fn(*const c_char, usize, *mut Sample) -> c_int,
}

unsafe extern "C" {
    /// Of the C library: a symbol of the whole process, for a null handle.
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// The functions of the HAProxy that this runs in; nothing in another branch than 2.6.
pub(super) fn functions() -> Option<&'static Functions> {
    static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
    FUNCTIONS.get_or_init(resolved).as_ref()
}

fn resolved() -> Option<Functions> {
    let version = symbol(c"haproxy_version")?;
    // SAFETY: it is a text that ends in a NUL.
    if !unsafe { CStr::from_ptr(version.cast()) }.to_bytes().starts_with(BRANCH) {
        return None;
    }
    // SAFETY: in this branch the functions are of these types.
    unsafe {
        Some(Functions {
            register: function(c"http_req_keywords_register")?,
            say: function(c"memprintf")?,
            find: function(c"http_find_header")?,
            find_prefix: function(c"http_find_pfx_header")?,
            remove: function(c"http_remove_header")?,
            add: function(c"http_add_header")?,
            set_variable: function(c"vars_set_by_name")?,
        })
    }
}

fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name ends in a NUL.
    let found = unsafe { dlsym(ptr::null_mut(), name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// # Safety
/// `F` is the type of a function of this name.
unsafe fn function<F>(name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>(), "a function's address") };
    // SAFETY: both are addresses, and the caller vouches for the type.
    symbol(name).map(|found| unsafe { mem::transmute_copy(&found) })
}
