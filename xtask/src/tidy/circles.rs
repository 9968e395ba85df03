//! Files of a package that need each other: read off the paths in their text.
//!
//! A file may name its parent, which names it anyway. Any other circle of files is one room with
//! walls drawn through it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};

/// A path of modules: `a::b` is `["a", "b"]`, the root of a package nothing.
type Module = Vec<String>;

/// Circles in every package of the workspace, one line each.
pub(super) fn violations(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for manifest in super::source::files(&root.join("crates"))?
        .into_iter()
        .chain(["benches", "xtask"].map(|folder| root.join(folder).join("Cargo.toml")))
        .filter(|path| path.ends_with("Cargo.toml"))
    {
        let folder = manifest.parent().unwrap_or(root).join("src");
        let mut texts = BTreeMap::new();
        for path in super::source::files(&folder)? {
            let Some(module) = module_of(path.strip_prefix(&folder).unwrap_or(&path)) else {
                continue;
            };
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read `{}`", path.display()))?;
            // A package may have a library and a binary: both are roots.
            texts.entry(module).or_insert_with(String::new).push_str(&text);
        }
        let name = folder.strip_prefix(root).unwrap_or(&folder).display().to_string();
        found.extend(circles(&texts).into_iter().map(|circle| {
            format!("{name}: {} need each other: move what they share", circle.join(", "))
        }));
    }
    Ok(found)
}

/// `a/b.rs` is `a::b`.
fn module_of(path: &Path) -> Option<Module> {
    let path = path.to_str()?.strip_suffix(".rs")?;
    Some(if matches!(path, "lib" | "main") {
        Module::new()
    } else {
        path.split('/').map(str::to_owned).collect()
    })
}

/// Groups of modules each of which needs all others, without a need for an ancestor.
fn circles(texts: &BTreeMap<Module, String>) -> Vec<Vec<String>> {
    let texts: BTreeMap<&Module, String> =
        texts.iter().map(|(module, text)| (module, shipped(text))).collect();
    let passed_on: BTreeMap<Module, Module> =
        texts.iter().flat_map(|(module, text)| passed_on(module, text)).collect();
    let needs: BTreeMap<&Module, BTreeSet<Module>> = texts
        .iter()
        .map(|(module, text)| {
            let is_other = |to: &Module| !module.starts_with(to);
            let named = paths(module, text).into_iter();
            let to = named.filter_map(|path| home(path, &texts, &passed_on)).filter(is_other);
            (*module, to.collect())
        })
        .collect();
    let reach: BTreeMap<&Module, BTreeSet<&Module>> =
        needs.keys().map(|module| (*module, reached(module, &needs))).collect();
    let mut found = Vec::new();
    let mut told = BTreeSet::new();
    for (module, all) in &reach {
        if all.contains(module) && !told.contains(module) {
            let circle: Vec<_> =
                all.iter().filter(|other| reach[**other].contains(module)).copied().collect();
            told.extend(circle.iter().copied());
            found.push(circle.into_iter().map(|module| module.join("::")).collect());
        }
    }
    found
}

fn reached<'a>(
    from: &Module,
    needs: &'a BTreeMap<&Module, BTreeSet<Module>>,
) -> BTreeSet<&'a Module> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        for to in needs.get(module).into_iter().flatten() {
            if seen.insert(to) {
                open.push(to);
            }
        }
    }
    seen
}

/// The module with a file that a path leads to or through. A name that a module passes on from
/// another is at home there: `crate::X` is seldom the root's own.
fn home(
    mut path: Module,
    texts: &BTreeMap<&Module, String>,
    passed_on: &BTreeMap<Module, Module>,
) -> Option<Module> {
    // Names are passed on a few times, and never in a circle.
    for _ in 0..8 {
        let of = (1..=path.len()).rev().find(|n| passed_on.contains_key(&path[..*n]));
        let Some(n) = of else { break };
        path = [&passed_on[&path[..n]], &path[n..]].concat();
    }
    while !texts.contains_key(&path) {
        path.pop()?;
    }
    Some(path)
}

/// What a module's `pub use` makes visible under its own path, and where that comes from.
fn passed_on(module: &Module, text: &str) -> Vec<(Module, Module)> {
    let mut all = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let line = text[..at].rfind('\n').map_or(0, |i| i + 1);
        if !text[line..at].trim_start().starts_with("pub") {
            continue;
        }
        let mut rest = &text[at + 4..];
        let word = rest.split("::").next().unwrap_or_default();
        let start = match word {
            "crate" => Module::new(),
            _ => module.clone(),
        };
        rest = rest.strip_prefix("crate::").unwrap_or(rest);
        let mut from = Vec::new();
        tree(start, &mut rest, &mut from);
        for path in from {
            if let Some(name) = path.last() {
                let here = [&module[..], std::slice::from_ref(name)].concat();
                if here != path {
                    all.push((here, path));
                }
            }
        }
    }
    all
}

/// A file without comments and without its test module.
fn shipped(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let begins_tests = line.starts_with("#[cfg(test)]")
            && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if begins_tests {
            break;
        }
        out.push_str(line.split("//").next().unwrap_or(""));
        out.push('\n');
    }
    out
}

/// All paths of a module's text that begin with `crate`, `super` or `self`, from the root.
fn paths(module: &Module, text: &str) -> Vec<Module> {
    let (mut found, mut read) = (Vec::new(), 0);
    for (at, _) in text.match_indices("::") {
        if at < read {
            continue;
        }
        let before = &text[..at];
        let word_at = before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |i| i + 1);
        let start = match &before[word_at..] {
            "crate" => Module::new(),
            "self" => module.clone(),
            "super" => above(module),
            _ => continue,
        };
        let mut rest = &text[at + 2..];
        tree(start, &mut rest, &mut found);
        read = text.len() - rest.len();
    }
    found
}

fn above(module: &[String]) -> Module {
    module[..module.len().saturating_sub(1)].to_vec()
}

/// Reads what follows a path's `::`: a name, a name and more, or a list of such in braces.
fn tree(mut path: Module, rest: &mut &str, found: &mut Vec<Module>) {
    loop {
        *rest = rest.trim_start();
        if let Some(list) = rest.strip_prefix('{') {
            *rest = list;
            loop {
                *rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
                if let Some(after) = rest.strip_prefix('}') {
                    *rest = after;
                    return;
                }
                let before = rest.len();
                tree(path.clone(), rest, found);
                if rest.len() == before {
                    return;
                }
            }
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        match name {
            "" | "self" => {}
            "super" => path = above(&path),
            name => path.push(name.to_owned()),
        }
        match after.strip_prefix("::") {
            Some(more) => *rest = more,
            None => {
                // Past `as name`, to the end of this piece of a list.
                *rest = after.strip_prefix(" as ").map_or(after, |new| {
                    new.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
                });
                found.push(path);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let module = |path: &str| module_of(Path::new(path)).unwrap();
        circles(&files.iter().map(|(path, text)| (module(path), (*text).to_owned())).collect())
    }

    #[test]
    fn paths_are_read_in_all_their_forms() {
        let module = ["a", "b"].map(str::to_owned).to_vec();
        let text = "use crate::{x::{self, Y as Z}, w};\nuse super::{super::c::D, e};\n\
                    let f = super::super::g::h(self::i::J::new());";
        let all: Vec<_> = paths(&module, text).iter().map(|path| path.join("::")).collect();
        assert_eq!(all, ["x", "x::Y", "w", "c::D", "a::e", "g::h", "a::b::i::J::new"]);
    }

    #[test]
    fn circles_are_found_but_for_parent_and_child() {
        let parent =
            [("lib.rs", "mod a;"), ("a.rs", "use self::b::X;"), ("a/b.rs", "use super::Y;")];
        assert!(found(&parent).is_empty());
        let two = [("a.rs", "use crate::b::X;"), ("b.rs", "fn f() { crate::a::y() }")];
        assert_eq!(found(&two), [["a", "b"]]);
        let through_a_child = [
            ("a.rs", "use self::b::X;"),
            ("a/b.rs", "use crate::c::Y;"),
            ("c.rs", "use crate::a::Z;"),
        ];
        assert_eq!(found(&through_a_child), [["a", "a::b", "c"]]);
        let through_the_root = [
            ("lib.rs", "pub use a::{X, Y};"),
            ("a.rs", "use crate::b;"),
            ("b.rs", "use crate::Y;"),
        ];
        assert_eq!(found(&through_the_root), [["a", "b"]]);
        let in_tests = [
            ("a.rs", "use crate::b::X;"),
            ("b.rs", "// crate::a\n#[cfg(test)]\nmod tests {\n    use crate::a::Y;\n}"),
        ];
        assert!(found(&in_tests).is_empty());
    }
}
