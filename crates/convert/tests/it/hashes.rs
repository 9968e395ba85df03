//! The committed evidence, held against its lists of hashes.

use std::path::Path;

use sha2::{Digest, Sha256};

/// `SHA256SUMS` of a folder of fixtures names every file of it with its hash, and no other.
#[test]
fn evidence_is_what_its_list_of_hashes_says() {
    for (folder, n_least) in [("golden", 30), ("formats", 15), ("cases", 6)] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(folder);
        let list = std::fs::read_to_string(root.join("SHA256SUMS")).unwrap();
        let mut listed = Vec::new();
        for line in list.lines() {
            let (hash, name) = line.split_once("  ").unwrap();
            assert_eq!(sha256(&root.join(name)), hash, "{folder}/{name}");
            listed.push(name.to_owned());
        }
        let mut there = files_below(&root);
        there.retain(|name| name != "SHA256SUMS" && name != "README.md");
        assert_eq!(there, listed, "{folder}/SHA256SUMS lists what is there, sorted");
        assert!(listed.len() >= n_least, "{} files in {folder}", listed.len());
        let bytes: u64 = there.iter().map(|name| root.join(name).metadata().unwrap().len()).sum();
        assert!(bytes <= 4_000_000, "{bytes} bytes in {folder}");
    }
}

fn sha256(path: &Path) -> String {
    let hash = Sha256::digest(std::fs::read(path).unwrap());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Paths of all files below a folder, relative to it, sorted.
fn files_below(root: &Path) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()),
            }
        }
    }
    found.sort();
    found
}
