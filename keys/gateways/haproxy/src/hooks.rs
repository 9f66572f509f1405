//! What Lua calls.

use std::{cell::RefCell, ffi::c_int, net::IpAddr};

use bulla::gateway::{Answer, Presented, Requirements, now};
use bulla_gateways_shared::guarded;

use crate::{
    headers,
    lua::{self, State},
    native, process, verdict,
};

/// More texts of requirements than any configuration has are not kept.
const KEPT: usize = 1000;

/// What a thread of HAProxy reuses from request to request.
#[derive(Default)]
struct Thread {
    /// Requirements by the text that the configuration has.
    routes: Vec<(Vec<u8>, Requirements)>,
    asked: Vec<u8>,
    answer: Answer,
    text: Vec<u8>,
}

thread_local! {
    static THREAD: RefCell<Thread> = RefCell::default();
}

/// A text to give to Lua. It has no destructor, and what it points to lives until the thread is asked again.
enum Said {
    Text(*const [u8]),
    Mistake(*const [u8]),
}

/// `require("bulla_haproxy")`: a table with `open` and `problem`.
///
/// # Safety
/// Lua calls it.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn luaopen_bulla_haproxy(state: *mut State) -> c_int {
    // SAFETY: Lua gave the state.
    unsafe { lua::give_module(state, &[(c"open", open), (c"problem", problem)]) }
}

/// `open(settings, address_header)`: opens the gate, and registers the action and the converter. A mistake ends
/// HAProxy's start.
unsafe extern "C-unwind" fn open(state: *mut State) -> c_int {
    // SAFETY: Lua gave the state, and the arguments stay on its stack.
    let (settings, header) = unsafe { (lua::text(state, 1), lua::text(state, 2)) };
    let opened = guarded(Err("bulla: a panic while opening".to_owned()), || {
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        process::open(&text(settings), &text(header)).map(|()| native::register())
    });
    // SAFETY: as above. Nothing with a destructor is left: an error's text stays in the thread.
    unsafe {
        match remembered(opened) {
            Some(mistake) => lua::fail(state, mistake),
            None => {
                lua::register_converter(state, c"bulla", check);
                lua::register_task(state, start);
                0
            }
        }
    }
}

/// The task that runs once HAProxy serves.
unsafe extern "C-unwind" fn start(state: *mut State) -> c_int {
    let started = guarded(Err("bulla: a panic while starting to follow the feed".to_owned()), process::start);
    // SAFETY: as in `open`.
    match remembered(started) {
        Some(mistake) => unsafe { lua::fail(state, mistake) },
        None => 0,
    }
}

/// `problem()`: what keeps the gate from being current, for HAProxy's log; empty for nothing.
unsafe extern "C-unwind" fn problem(state: *mut State) -> c_int {
    let said = remembered(Err(guarded("a panic".to_owned(), process::problem)));
    // SAFETY: as in `open`.
    unsafe { lua::give(state, said.unwrap_or(b"")) }
}

/// The converter: the headers come in, and the requirements of the route, which HAProxy splits at commas.
unsafe extern "C-unwind" fn check(state: *mut State) -> c_int {
    // SAFETY: Lua gave the state; `judge` calls only functions of Lua that do not leave it by an error, on texts.
    match guarded(Said::Text(verdict::UNAVAILABLE), || unsafe { judge(state) }) {
        // SAFETY: the text lives until the thread is asked again, and nothing here has a destructor.
        Said::Text(text) => unsafe { lua::give(state, text) },
        Said::Mistake(text) => unsafe { lua::fail(state, text) },
    }
}

unsafe fn judge(state: *mut State) -> Said {
    let Some(opened) = process::opened() else { return Said::Text(verdict::UNAVAILABLE) };
    THREAD.with_borrow_mut(|thread| {
        thread.asked.clear();
        // SAFETY: the caller's promise; arguments stay on the stack until `check` returns.
        for index in 2..=unsafe { lua::arguments(state) } {
            if index > 2 {
                thread.asked.push(b',');
            }
            thread.asked.extend_from_slice(unsafe { lua::text(state, index) }.unwrap_or_default());
        }
        // SAFETY: as above.
        let block = unsafe { lua::text(state, 1) }.unwrap_or_default();
        match thread.check(opened, block) {
            Ok(()) => Said::Text(&raw const *thread.text),
            Err(mistake) => {
                thread.text = mistake.into_bytes();
                Said::Mistake(&raw const *thread.text)
            }
        }
    })
}

impl Thread {
    /// Checks the request, and writes what to say into `text`. An error is a mistake of the route.
    fn check(&mut self, opened: &process::Opened, block: &[u8]) -> Result<(), String> {
        #[cfg(debug_assertions)]
        assert!(self.asked != b"panic", "a test asks for a panic");
        let at = match self.routes.iter().position(|(text, _)| *text == self.asked) {
            Some(at) => at,
            None => self.learn(opened)?,
        };
        let wanted = &self.routes[at].1;
        let mut presented = Presented::new(wanted);
        let mut address = None;
        for (name, value) in headers::each(block) {
            presented.add(name, value);
            if !opened.address_header.is_empty() && name.eq_ignore_ascii_case(opened.address_header.as_bytes()) {
                address = str::from_utf8(value).ok().and_then(|text| text.parse::<IpAddr>().ok());
            }
        }
        opened.gate.check(wanted, &presented, address, now(), &mut self.answer);
        verdict::write(&self.answer, &mut self.text);
        Ok(())
    }

    /// Reads requirements that this thread was not asked for yet.
    fn learn(&mut self, opened: &process::Opened) -> Result<usize, String> {
        let text = String::from_utf8_lossy(&self.asked);
        let wanted =
            opened.gate.requirements(&text).map_err(|error| format!("bulla: the route's requirements: {error}"))?;
        if self.routes.len() >= KEPT {
            self.routes.clear();
        }
        self.routes.push((self.asked.clone(), wanted));
        Ok(self.routes.len() - 1)
    }
}

/// Keeps an error's text in the thread, so that a call of Lua may leave without a destructor.
fn remembered(outcome: Result<(), String>) -> Option<*const [u8]> {
    let mistake = outcome.err()?;
    Some(THREAD.with_borrow_mut(|thread| {
        thread.text = mistake.into_bytes();
        &raw const *thread.text
    }))
}
