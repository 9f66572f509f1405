//! Vector registers keep the last copied bytes while a thread sleeps, and a core dump holds the registers of every
//! thread, whatever its memory filter says. So a thread clears them before it sleeps.

/// Clears this thread's vector registers.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
pub(crate) fn forget_registers() {
    if std::is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has the instructions, and every register is declared as overwritten.
        unsafe { clear_512() }
    } else if std::is_x86_feature_detected!("avx") {
        // SAFETY: as above.
        unsafe { clear_256() }
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn forget_registers() {}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f")]
unsafe fn clear_512() {
    // SAFETY: VZEROALL leaves registers 16 to 31, which are cleared one by one; nothing else is touched.
    unsafe {
        std::arch::asm!(
            "vzeroall",
            "vpxorq zmm16, zmm16, zmm16",
            "vpxorq zmm17, zmm17, zmm17",
            "vpxorq zmm18, zmm18, zmm18",
            "vpxorq zmm19, zmm19, zmm19",
            "vpxorq zmm20, zmm20, zmm20",
            "vpxorq zmm21, zmm21, zmm21",
            "vpxorq zmm22, zmm22, zmm22",
            "vpxorq zmm23, zmm23, zmm23",
            "vpxorq zmm24, zmm24, zmm24",
            "vpxorq zmm25, zmm25, zmm25",
            "vpxorq zmm26, zmm26, zmm26",
            "vpxorq zmm27, zmm27, zmm27",
            "vpxorq zmm28, zmm28, zmm28",
            "vpxorq zmm29, zmm29, zmm29",
            "vpxorq zmm30, zmm30, zmm30",
            "vpxorq zmm31, zmm31, zmm31",
            clobber_abi("C"),
            options(nomem, nostack, preserves_flags)
        );
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[target_feature(enable = "avx")]
unsafe fn clear_256() {
    // SAFETY: VZEROALL overwrites what is declared, and nothing else.
    unsafe { std::arch::asm!("vzeroall", clobber_abi("C"), options(nomem, nostack, preserves_flags)) }
}
