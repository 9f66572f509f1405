//! What is allowed for clocks that differ.

/// How far two clocks may be apart, in seconds: an issuer's and a verifier's, those of two servers of a fleet, or a
/// server's and its follower's. A key that is issued so far ahead is good, and what expired is remembered for so long.
pub const CLOCK_DIFFERENCE: u64 = 300;
