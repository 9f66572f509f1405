//! The part of nginx's interface that the module needs, as the headers have it. Every structure has the layout of the
//! nginx whose headers these are, and of no other.

#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unnecessary_transmutes,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    clippy::restriction,
    reason = "made by bindgen, with C's names"
)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
