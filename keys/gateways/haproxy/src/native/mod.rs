//! `http-request bulla REQUIREMENTS`, without Lua: an action that is registered with HAProxy itself.
//!
//! A call through HAProxy's Lua costs several times what a check does, and each header that a rule of the configuration
//! sets costs about as much as a check. HAProxy has no interface for modules, but it exports its functions for Lua's
//! libraries. This folder calls those of [`abi`], which are HAProxy 2.6's, and holds each structure against what
//! HAProxy has to have in it before it believes it: a rule at its start, a request whenever it comes. What does not fit
//! refuses the configuration, or the request. Other versions have the converter alone.

mod abi;
mod action;
mod request;

pub(crate) use action::register;
