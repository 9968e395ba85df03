//! Floating-point operations as the code that does them reports them.

use std::sync::atomic::{AtomicU64, Ordering};

static COUNTED: AtomicU64 = AtomicU64::new(0);

/// Adds operations to the count of this process; one atomic addition, meant for a layer or a step
/// and not for a multiplication.
pub fn count_flops(flops: u64) {
    COUNTED.fetch_add(flops, Ordering::Relaxed);
}

/// Operations counted by [`count_flops`] since the process began; take two readings and subtract.
#[must_use]
pub fn flops_counted() -> u64 {
    COUNTED.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_adds_up() {
        let before = flops_counted();
        count_flops(7);
        count_flops(5);
        assert!(flops_counted() >= before + 12);
    }
}
