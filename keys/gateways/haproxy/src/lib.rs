//! Checks API keys inside HAProxy: a library that HAProxy's Lua loads with `require("bulla_haproxy")`. docs/MODULES.md
//! has the configuration.
//!
//! It gives HAProxy 2.6 an action, `http-request bulla`, and every HAProxy a converter, `lua.bulla`. Both answer in one
//! text ([`verdict`]) for the rules behind them. The action goes past Lua, and sets and removes headers itself. The
//! converter reads the request's headers (`req.hdrs`), and is the cheapest way through HAProxy's Lua: actions and
//! fetches of it build a table for the transaction first.

mod headers;
#[cfg(not(test))]
mod hooks;
#[cfg(not(test))]
mod lua;
#[cfg(not(test))]
mod native;
#[cfg(not(test))]
mod process;
mod verdict;
