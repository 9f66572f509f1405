//! What the processor has.

use std::sync::atomic::{AtomicU8, Ordering};

/// The vector units that a processor has for certain: proof for what is compiled for them, since it is only made where
/// they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level(Kind);

/// From the least to the most; each includes those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Kind {
    /// Nothing that is not part of every processor of its kind: other crates find out what it has.
    Portable = 1,
    /// x86-64 with instructions for AES and for products without carry.
    Aes,
    /// The same in the three-operand encoding, which comes with AVX2.
    Avx2,
    /// Four blocks in a register of 512 bits.
    Avx512,
}

/// The kind of this processor, once it was found out.
static HERE: AtomicU8 = AtomicU8::new(0);

impl Level {
    /// The highest that this processor has.
    #[inline]
    pub(crate) fn here() -> Self {
        #[cfg(test)]
        if let Some(forced) = tests::FORCED.get() {
            return forced;
        }
        // Every thread finds out the same, so it does not matter which one does.
        match HERE.load(Ordering::Relaxed) {
            1 => Level(Kind::Portable),
            2 => Level(Kind::Aes),
            3 => Level(Kind::Avx2),
            4 => Level(Kind::Avx512),
            _ => Self::find_out(),
        }
    }

    #[inline]
    pub(super) fn kind(self) -> Kind {
        self.0
    }

    #[cold]
    fn find_out() -> Self {
        let level = detect();
        HERE.store(level.0 as u8, Ordering::Relaxed);
        level
    }
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Level {
    macro_rules! has {
        ($($feature:tt),+) => { $(std::arch::is_x86_feature_detected!($feature))&&+ };
    }
    Level(if !has!("aes", "pclmulqdq", "ssse3", "sse4.1") {
        Kind::Portable
    } else if !has!("avx2", "bmi1", "bmi2", "lzcnt", "popcnt") {
        Kind::Aes
    } else if !has!("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vbmi", "vaes", "vpclmulqdq") {
        Kind::Avx2
    } else {
        Kind::Avx512
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Level {
    Level(Kind::Portable)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// What this thread takes for the processor's level.
        pub(super) static FORCED: Cell<Option<Level>> = const { Cell::new(None) };
    }

    /// Runs `test` at every level that this processor has, in turn.
    pub(crate) fn at_every_level(mut test: impl FnMut(Level)) {
        let here = detect();
        for kind in [Kind::Portable, Kind::Aes, Kind::Avx2, Kind::Avx512] {
            if kind <= here.0 {
                FORCED.set(Some(Level(kind)));
                test(Level(kind));
            }
        }
        FORCED.set(None);
    }

    #[test]
    fn each_level_is_forced_in_turn_and_the_highest_is_here() {
        let mut seen = Vec::new();
        at_every_level(|level| {
            assert_eq!(Level::here(), level);
            seen.push(level);
        });
        assert_eq!(seen.last(), Some(&Level::here()));
        // The machine decides what is tested, so a run says it.
        println!("levels of this processor: {seen:?}");
    }
}
