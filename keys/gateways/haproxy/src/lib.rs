//! Checks API keys inside HAProxy: a library that HAProxy's Lua loads with `require("bulla_haproxy")`. docs/MODULES.md has the
//! configuration.
//!
//! It gives HAProxy one converter, `lua.bulla`, which reads the request's headers (`req.hdrs`) and answers in one text
//! ([`verdict`]). A converter is the cheapest way through HAProxy's Lua: actions and fetches build a table for the transaction first.

mod headers;
#[cfg(not(test))]
mod hooks;
#[cfg(not(test))]
mod lua;
#[cfg(not(test))]
mod process;
mod verdict;
