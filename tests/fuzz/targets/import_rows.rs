//! Any bytes, as a file of keys to be imported.
//!
//! The first byte of the input chooses format, salts and rule: see `bulla_server::testing::fuzzing::read_rows`, which
//! has the properties, too.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((how, rest)) = input.split_first() else { return };
    bulla_server::testing::fuzzing::read_rows(*how, rest);
});
