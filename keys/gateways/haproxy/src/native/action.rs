//! The action: what it reads in the configuration, and what it does with a request.

use std::{
    cell::RefCell,
    ffi::{CStr, c_char, c_int, c_void},
    net::IpAddr,
    ptr,
    sync::{Mutex, OnceLock, PoisonError},
};

use bulla::gateway::{Answer, Presented, Requirements, now};
use bulla_gateways_shared::guarded;

use super::{
    abi::{CONTINUE, ERROR, HTTP_REQUEST, Keyword, Keywords, MISTAKE, PARSED, Parse, Rule, Stream, functions},
    request::Request,
};
use crate::{process, verdict};

/// Where the answer stands for the rules behind the action.
const VARIABLE: &CStr = c"txn.bulla";

/// All headers whose names begin so are bulla's.
const IDENTITY: &str = "x-bulla-";

/// One rule of the configuration. It lives as long as HAProxy's own.
struct Route {
    wanted: Requirements,
    #[cfg(debug_assertions)]
    panics: bool,
}

/// The routes by HAProxy's rules, as the configuration is read.
static ROUTES: Mutex<Vec<(usize, &'static Route)>> = Mutex::new(Vec::new());

/// The address of the keyword that HAProxy knows.
static KEYWORD: OnceLock<usize> = OnceLock::new();

/// What a thread of HAProxy reuses from request to request.
#[derive(Default)]
struct Thread {
    /// The routes that it has met.
    routes: Vec<(usize, &'static Route)>,
    answer: Answer,
    text: Vec<u8>,
}

thread_local! {
    static THREAD: RefCell<Thread> = RefCell::default();
}

/// Teaches HAProxy the action, in a branch that it is for.
pub(crate) fn register() {
    let Some(haproxy) = functions() else { return };
    KEYWORD.get_or_init(|| {
        let keyword = |name, parse| Keyword { name, parse, flags: 0, private: ptr::null() };
        let (first, end) = (keyword(c"bulla".as_ptr(), Some(parse as Parse)), keyword(ptr::null(), None));
        let keywords = Box::leak(Box::new(Keywords { links: [ptr::null(); 2], keyword: first, end }));
        let address = &raw const keywords.keyword as usize;
        // SAFETY: HAProxy reads its configuration on this thread, and keeps the list, which is never freed.
        unsafe { (haproxy.register)(keywords) };
        address
    });
}

/// HAProxy calls it for each `http-request bulla` of the configuration.
unsafe extern "C" fn parse(
    arguments: *const *const c_char,
    at: *mut c_int,
    _proxy: *const c_void,
    rule: *mut Rule,
    error: *mut *mut c_char,
) -> c_int {
    let read = || {
        // SAFETY: HAProxy's arguments are texts, the last of which is empty, and `at` is the first that is the
        // action's.
        let (text, rule) = unsafe { (CStr::from_ptr(*arguments.add(*at as usize)), &mut *rule) };
        learn(&text.to_string_lossy(), rule)
    };
    match guarded(Err("a panic".to_owned()), read) {
        Ok(()) => {
            // SAFETY: as above.
            unsafe { *at += 1 };
            PARSED
        }
        Err(mistake) => {
            if let Some(haproxy) = functions() {
                let mistake = mistake.replace('\0', " ") + "\0";
                // SAFETY: both texts end in a NUL, and HAProxy copies them.
                unsafe { (haproxy.say)(error, c"%s".as_ptr(), mistake.as_ptr().cast::<c_char>()) };
            }
            MISTAKE
        }
    }
}

fn learn(text: &str, rule: &mut Rule) -> Result<(), String> {
    let is_as_expected =
        Some(&(rule.keyword as usize)) == KEYWORD.get() && rule.from == HTTP_REQUEST && rule.run.is_none();
    if !is_as_expected {
        return Err("bulla does not know the rules of this HAProxy; use the converter `lua.bulla`".to_owned());
    }
    let opened = process::opened().ok_or("bulla is not open: load bulla.lua before")?;
    if text.is_empty() {
        return Err("bulla: the route's requirements are missing: write, for example, `http-request bulla realm:live`"
            .to_owned());
    }
    #[cfg(debug_assertions)]
    let (panics, text) = (text == "panic", if text == "panic" { "realm:live" } else { text });
    let wanted = opened.gate.requirements(text).map_err(|error| format!("bulla: the route's requirements: {error}"))?;
    let route = Box::leak(Box::new(Route {
        wanted,
        #[cfg(debug_assertions)]
        panics,
    }));
    ROUTES.lock().unwrap_or_else(PoisonError::into_inner).push((ptr::from_ref(rule) as usize, route));
    rule.run = Some(run);
    Ok(())
}

/// HAProxy calls it for a request. What the rules behind it find in the variable is the answer to this request; where
/// it cannot be set the request ends.
unsafe extern "C" fn run(
    rule: *const Rule,
    _proxy: *const c_void,
    session: *const c_void,
    stream: *mut Stream,
    _options: c_int,
) -> c_int {
    // SAFETY: HAProxy handed them over.
    let request = functions().and_then(|haproxy| unsafe { Request::of(haproxy, stream, session) });
    let Some(mut request) = request else { return ERROR };
    let is_answered = guarded(false, || THREAD.with_borrow_mut(|thread| thread.answer(rule as usize, &mut request)));
    if is_answered || request.set_variable(VARIABLE, verdict::UNAVAILABLE) { CONTINUE } else { ERROR }
}

impl Thread {
    /// Checks the request, changes it if it is accepted, and says so in the variable. False if any of that was not
    /// possible.
    fn answer(&mut self, rule: usize, request: &mut Request) -> bool {
        let (Some(opened), Some(route)) = (process::opened(), self.route(rule)) else { return false };
        #[cfg(debug_assertions)]
        assert!(!route.panics, "a test asks for a panic");
        // The client's own identity ends here, whatever the answer is.
        request.remove_prefix(IDENTITY);
        let mut presented = Presented::new(&route.wanted);
        for name in route.wanted.headers() {
            request.each(name, |value| presented.add(name.as_bytes(), value));
        }
        let mut address = None;
        if !opened.address_header.is_empty() {
            request.each(&opened.address_header, |value| {
                address = str::from_utf8(value).ok().and_then(|text| text.parse::<IpAddr>().ok());
            });
        }
        opened.gate.check(&route.wanted, &presented, address, now(), &mut self.answer);
        if self.answer.is_accepted() {
            route.wanted.headers().for_each(|name| request.remove(name));
            let mut given = self.answer.headers().filter(|(_, value)| !value.is_empty());
            if !given.all(|(name, value)| request.add(name, value)) {
                return false;
            }
        }
        verdict::write(&self.answer, &mut self.text);
        request.set_variable(VARIABLE, &self.text)
    }

    fn route(&mut self, rule: usize) -> Option<&'static Route> {
        let of = |routes: &[(usize, &'static Route)]| {
            routes.iter().find(|(known, _)| *known == rule).map(|(_, route)| *route)
        };
        of(&self.routes).or_else(|| {
            let route = of(&ROUTES.lock().unwrap_or_else(PoisonError::into_inner))?;
            self.routes.push((rule, route));
            Some(route)
        })
    }
}
