//! The functions of Lua's C interface that this library calls. They are the same in Lua 5.3 and 5.4, and HAProxy brings
//! them along: one build of this library is for all.
//!
//! Any of them may leave its caller by `longjmp`. So no function of this library that calls one holds a value with a
//! destructor at that point.

use std::ffi::{CStr, c_char, c_int, c_void};

/// A state of Lua, or a coroutine of one.
#[repr(C)]
pub(crate) struct State {
    _opaque: [u8; 0],
}

/// What Lua calls.
pub(crate) type Function = unsafe extern "C-unwind" fn(*mut State) -> c_int;

unsafe extern "C-unwind" {
    fn lua_gettop(state: *mut State) -> c_int;
    fn lua_tolstring(state: *mut State, index: c_int, len: *mut usize) -> *const c_char;
    fn lua_pushlstring(state: *mut State, text: *const c_char, len: usize) -> *const c_char;
    fn lua_pushcclosure(state: *mut State, function: Function, upvalues: c_int);
    fn lua_createtable(state: *mut State, array: c_int, fields: c_int);
    fn lua_setfield(state: *mut State, index: c_int, name: *const c_char);
    fn lua_getfield(state: *mut State, index: c_int, name: *const c_char) -> c_int;
    fn lua_getglobal(state: *mut State, name: *const c_char) -> c_int;
    fn lua_callk(state: *mut State, arguments: c_int, results: c_int, context: isize, then: *const c_void);
    fn lua_error(state: *mut State) -> c_int;
}

/// How many arguments a function got.
///
/// # Safety
/// `state` is the one that Lua gave to the function that calls this. The same holds for all functions here.
pub(crate) unsafe fn arguments(state: *mut State) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { lua_gettop(state) }
}

/// An argument that is a text. It lives as long as the argument stays on the stack: until the function returns.
pub(crate) unsafe fn text<'a>(state: *mut State, index: c_int) -> Option<&'a [u8]> {
    let mut len = 0;
    // SAFETY: `index` is one of the arguments, or the function says that there is none.
    let text = unsafe { lua_tolstring(state, index, &raw mut len) };
    // SAFETY: Lua's text has this length.
    (!text.is_null()).then(|| unsafe { std::slice::from_raw_parts(text.cast(), len) })
}

/// Returns a text from a function: the value to return to Lua.
pub(crate) unsafe fn give(state: *mut State, text: *const [u8]) -> c_int {
    // SAFETY: Lua copies the text.
    unsafe { lua_pushlstring(state, text.cast(), text.len()) };
    1
}

/// Leaves a function with an error in Lua, which has this text.
pub(crate) unsafe fn fail(state: *mut State, text: *const [u8]) -> c_int {
    // SAFETY: Lua copies the text, and `lua_error` does not come back.
    unsafe {
        lua_pushlstring(state, text.cast(), text.len());
        lua_error(state)
    }
}

/// Returns a table with these functions in it.
pub(crate) unsafe fn give_module(state: *mut State, functions: &[(&'static CStr, Function)]) -> c_int {
    // SAFETY: the table is on top of the stack when a field is set.
    unsafe {
        lua_createtable(state, 0, 2);
        for (name, function) in functions {
            lua_pushcclosure(state, *function, 0);
            lua_setfield(state, -2, name.as_ptr());
        }
    }
    1
}

/// Calls `core.register_converters(name, function)` of HAProxy.
pub(crate) unsafe fn register_converter(state: *mut State, name: &'static CStr, function: Function) {
    // SAFETY: two arguments are on the stack when it is called.
    unsafe {
        lua_getglobal(state, c"core".as_ptr());
        lua_getfield(state, -1, c"register_converters".as_ptr());
        lua_pushlstring(state, name.as_ptr(), name.count_bytes());
        lua_pushcclosure(state, function, 0);
        lua_callk(state, 2, 0, 0, std::ptr::null());
    }
}

/// Calls `core.register_task(function)` of HAProxy: it runs once in the process that serves.
pub(crate) unsafe fn register_task(state: *mut State, function: Function) {
    // SAFETY: one argument is on the stack when it is called.
    unsafe {
        lua_getglobal(state, c"core".as_ptr());
        lua_getfield(state, -1, c"register_task".as_ptr());
        lua_pushcclosure(state, function, 0);
        lua_callk(state, 1, 0, 0, std::ptr::null());
    }
}
