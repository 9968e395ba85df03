//! The process's clocks and memory: a value where the kernel has one, a reason elsewhere.

use std::hint::black_box;

use lob_scope::{
    anon_rss_bytes, peak_rss_bytes, process_cpu_time_s, reset_peak_rss, rss_bytes,
    thread_cpu_time_s,
};

#[test]
fn cpu_time_grows_with_work() {
    let before = process_cpu_time_s().unwrap();
    let thread_before = thread_cpu_time_s().unwrap();
    let mut sum = 0u64;
    while thread_cpu_time_s().unwrap() < thread_before + 5e-3 {
        sum = (0..1000u64).fold(sum, |sum, n| black_box(sum ^ n));
    }
    black_box(sum);
    assert!(process_cpu_time_s().unwrap() >= before + 4e-3);
}

#[cfg(target_os = "linux")]
#[test]
fn touched_memory_is_resident_and_anonymous() {
    const BYTES: u64 = 32 << 20;
    let (rss, anon) = (rss_bytes().unwrap(), anon_rss_bytes().unwrap());
    let block = black_box(vec![1u8; BYTES as usize]);
    // Other tests free memory meanwhile, and the kernel counts pages in batches.
    assert!(rss_bytes().unwrap() > rss + BYTES / 2);
    assert!(anon_rss_bytes().unwrap() > anon + BYTES / 2);
    drop(block);
}

#[cfg(target_os = "linux")]
#[test]
fn the_peak_is_at_least_the_present() {
    assert!(peak_rss_bytes().unwrap() > 0);
    match reset_peak_rss() {
        Ok(()) => assert!(peak_rss_bytes().unwrap() > 0),
        Err(unavailable) => assert!(unavailable.reason.contains("clear_refs")),
    }
}

#[cfg(not(target_os = "linux"))]
#[test]
fn without_procfs_there_is_a_reason() {
    for sensor in [rss_bytes(), anon_rss_bytes(), peak_rss_bytes()] {
        assert!(sensor.unwrap_err().reason.contains("/proc"));
    }
    assert!(reset_peak_rss().is_err());
}
