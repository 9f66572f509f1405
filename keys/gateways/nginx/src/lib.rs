//! A module for nginx that checks API keys in nginx's own workers (docs/MODULES.md).
//!
//! | file | |
//! |---|---|
//! | `module` | what nginx reads when it loads the library: names, directives, hooks |
//! | `directives`, `configuration` | the configuration file: what a location requires, checked when nginx reads it |
//! | `process` | the threads that follow the feed, in each worker |
//! | `report` | what fails in the background, in nginx's log |
//! | `access` | the phases of a request: the check, and what the application gets to see |
//! | `verdict`, `context` | the verdict of a request, and where it is kept |
//! | `variables` | `$bulla_app_id` and the others |
//! | `headers` | the list of a request's headers |
//! | `refusal` | the answer to a request that does not get through |
//! | `text`, `guard` | nginx's strings; panics end here |
//!
//! nginx runs one thread per worker. Everything here runs on it, except for the threads of the gate itself.

#![allow(unsafe_code, reason = "nginx calls it, and hands over pointers")]

mod access;
mod configuration;
mod context;
mod directives;
mod guard;
mod headers;
mod module;
mod process;
mod refusal;
mod report;
mod text;
mod variables;
mod verdict;

pub use module::{ngx_module_names, ngx_modules};
