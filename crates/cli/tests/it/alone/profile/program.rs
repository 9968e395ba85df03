//! A program to be profiled: `program leak|creep|wait|work|fast|slow`.

use std::hint::black_box;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("leak") => leak(),
        Some("creep") => creep(),
        Some("wait") => wait(),
        Some("work") => work(),
        Some("fast") => (0..300).for_each(|_| parse()),
        Some("slow") => (0..300).for_each(|_| {
            parse();
            regression();
        }),
        _ => std::process::exit(2),
    }
}

#[inline(never)]
fn leak() {
    for step in 0..200u8 {
        let mut block = Vec::<u8>::with_capacity(400 << 10);
        block.resize(400 << 10, step | 1); // leaks
        std::mem::forget(black_box(block));
        std::thread::sleep(Duration::from_millis(8));
    }
}

/// A leak that shows in no page of memory.
#[inline(never)]
fn creep() {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1500) {
        let kept = Vec::<u8>::with_capacity(black_box(100)); // creeps
        std::mem::forget(black_box(kept));
        drop(black_box(vec![1_u8; black_box(5000)]));
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn wait() {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let slow = std::thread::spawn(move || {
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(50));
            writer.write_all(b"x").unwrap();
        }
    });
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    slow.join().unwrap();
    assert_eq!(all.len(), 8);
}

#[inline(never)]
fn work() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1200) {
        black_box((0..black_box(300_000u64)).fold(0u64, |sum, n| sum.rotate_left(5) ^ n)); // three parts
        black_box((0..black_box(100_000u64)).fold(0u64, |sum, n| sum.rotate_left(5) ^ n)); // one part
    }
}

/// The same work whenever it is called.
#[inline(never)]
fn parse() {
    black_box((0..black_box(1_000_000u64)).fold(0u64, |sum, n| sum.rotate_left(5) ^ n));
}

/// Half as much again.
#[inline(never)]
fn regression() {
    black_box((0..black_box(500_000u64)).fold(0u64, |sum, n| sum.rotate_left(7) ^ n));
}
