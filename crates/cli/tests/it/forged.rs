//! Fault 8 of the review: what came from a file or a name reaches the terminal as text only. It
//! moves no cursor, and makes no line of its own.

use std::fs;
use std::path::Path;

use crate::{json, lob, shown};

/// What a forged line begins with: nobody else says so.
const FORGED: &str = "sound   forged";
const SYMBOL: &str = "A\u{1b}[2J\u{7}\r\nsound   forged: 7\u{9b}31m\u{202e}x";
const DATASET: &str = "X\u{1b}[1m\nsound  ";

/// A market whose only symbol and whose dataset are hostile, under a hostile name.
fn hostile_market(folder: &Path) -> std::path::PathBuf {
    let plain = folder.join("plain.mbp-10.dbn");
    let args = ["--records", "3000", "--instruments", "1", "--seed", "5", "--out", shown(&plain)];
    crate::lob_ok(&[&["synth"][..], &args].concat());
    let mut bytes = fs::read(&plain).unwrap();
    let length = u32::from_le_bytes(*bytes[4..].first_chunk().unwrap()) as usize;
    let mut replaced = 0;
    for at in 8 + 16..length {
        if bytes[at..].starts_with(b"6AM4\0\0\0\0") {
            bytes[at..at + SYMBOL.len()].copy_from_slice(SYMBOL.as_bytes());
            replaced += 1;
        }
    }
    assert!(replaced >= 2, "the list of symbols and a mapping");
    bytes[8..24].fill(0);
    bytes[8..8 + DATASET.len()].copy_from_slice(DATASET.as_bytes());
    let path = folder.join("a\u{1b}[31m\nsound   forged\u{2066}.mbp-10.dbn");
    fs::write(&path, bytes).unwrap();
    path
}

/// Runs `lob`; whatever it says is text. Returns standard output and standard error.
fn said(args: &[&str]) -> (String, String) {
    let output = lob(args);
    let texts = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    for text in &texts {
        let is_hidden = |c: char| {
            (c.is_control() && c != '\n')
                || ('\u{202a}'..='\u{202e}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c)
        };
        assert!(!text.contains(is_hidden), "{args:?}: {text:?}");
        let forged = text.lines().find(|line| line.trim_start().starts_with(FORGED));
        assert_eq!(forged, None, "{args:?}: {text}");
    }
    let [stdout, stderr] = texts;
    (stdout, stderr)
}

#[test]
fn no_symbol_dataset_or_name_forges_a_line_or_reaches_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = hostile_market(folder.path());
    let out = folder.path().join("out\u{1b}[7m\nsound   forged");
    let (verified, _) = said(&["verify", shown(&path)]);
    assert!(verified.starts_with("sound   ") && verified.contains(r"\u{1b}[31m\nsound"));
    let (inspected, _) = said(&["inspect", shown(&path)]);
    assert!(inspected.contains(r"A\u{1b}[2J\u{7}\r\nsound"), "{inspected}");
    assert!(inspected.contains(r"X\u{1b}[1m\nsound"), "{inspected}");
    let convert = ["convert", shown(&path), "--out", shown(&out), "--ticks-per-bin", "10"];
    let labels = ["--lookback", "20", "--lookforward", "20", "--offset", "5"];
    let (listed, _) = said(&[&convert[..], &labels].concat());
    assert!(listed.contains(r"\nsound   forged"), "{listed}");
    let (store, _) = said(&["inspect", shown(&out)]);
    assert!(store.contains(r"A\u{1b}[2J"), "{store}");
    // Programs get the very text.
    let (document, _) = said(&["inspect", shown(&path), "--json"]);
    assert_eq!(json(&document)["symbols"][0], SYMBOL);
    assert_eq!(json(&document)["dataset"], DATASET);
    let (document, _) = said(&["verify", shown(&path), "--json"]);
    assert_eq!(json(&document)["files"][0]["path"], shown(&path));
}

#[test]
fn errors_warnings_and_hints_name_files_without_obeying_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = hostile_market(folder.path());
    let out = folder.path().join("out\nsound   forged");
    let missing = folder.path().join("b\u{1b}[2J\nsound   forged.dbn");
    let cut = folder.path().join("c\nsound   forged\nhint: forged.dbn");
    let bytes = fs::read(&path).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 100]).unwrap();
    let csv = folder.path().join("d\u{7}\nsound   forged.csv");
    fs::write(&csv, "x\u{1b},y\n1,\u{1b}[2J\n").unwrap();
    let out = shown(&out);
    for args in [
        vec!["verify", shown(&missing)],
        vec!["verify", shown(&cut)],
        vec!["verify", shown(&csv)],
        vec!["inspect", shown(&missing)],
        vec!["inspect", shown(&csv)],
        vec!["convert", shown(&missing), "--out", out],
        vec!["convert", shown(&cut), "--out", out],
        vec!["convert", shown(&cut), shown(&missing), "--out", out, "--keep-going"],
        vec!["convert", shown(&path), "--out", out, "--symbols", "Z\u{1b}[2J\nsound   forged"],
        vec!["convert", shown(&path), "--out", out, "--config", shown(&csv)],
        vec!["render", shown(&path), "--symbol", "Z\nsound   forged", "--out", "x.npy"],
        vec!["render", shown(&missing), "--out", "x.npy"],
        vec!["signals", shown(&path), "--symbol", "Z\nsound   forged"],
        vec!["signals", shown(&csv)],
        vec!["load", shown(&missing)],
        vec!["train", shown(&missing), "--steps", "1"],
        vec!["report", shown(&missing)],
        vec!["compare", shown(&missing), shown(&csv)],
        // Names that a pattern of the shell filled in.
        vec!["verify", "--\u{1b}[2J\nsound   forged"],
        vec!["conv\nsound   forged"],
        vec!["load", "x", "--batch-size", "1\u{1b}[2J\nsound   forged"],
    ] {
        let (_, stderr) = said(&args);
        let is_verified = args[0] == "verify" && stderr.is_empty();
        let has_error = stderr.lines().any(|line| line.starts_with("error: "));
        assert!(is_verified || has_error, "{args:?}: {stderr}");
        let is_forged = stderr.lines().any(|line| line.starts_with("sound   forged"));
        assert!(!is_forged, "{args:?}: {stderr}");
    }
}
