//! Asking for memory before it is needed: the only `unsafe` in this project.
//!
//! Weights of wide layers come from the cache that all cores share, or from memory. An ordinary read for no other use would ask
//! as well, but the processor can finish nothing behind it until it is there.

/// Asks for what is at `index`, if there is something, and waits for nothing. Does nothing where no stable instruction is known.
#[inline(always)]
#[allow(unsafe_code, reason = "the instruction takes a pointer")]
pub(super) fn prefetch(values: &[f32], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(value) = values.get(index) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction changes nothing that a program can see, and can't fault, whatever the address; this one is
        // that of a live number. Every x86-64 processor has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, index);
}
