//! `cargo xtask ab REV`: two revisions, built apart and run in turn by `lob ab`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::process;

/// What is run of each revision: name, and the command with `LOB` for the binary and `INPUT` for
/// the records. All exist since the first release, so that old revisions can be compared.
const SCENARIOS: [(&str, &str); 3] = [
    ("convert", "LOB convert INPUT --out \"$LOB_AB_OUT/store\" --quiet"),
    ("signals", "LOB signals INPUT --out \"$LOB_AB_OUT/signals.csv\" --quiet"),
    ("verify", "LOB verify INPUT"),
];

/// Records of the synthetic input: half a second of conversion.
const RECORDS: &str = "400000";

struct Args {
    revisions: Vec<String>,
    scenario: String,
    passed_on: Vec<String>,
}

/// Builds `REV` (and a second revision, or the working tree) and compares them.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let args = parse(args)?;
    let Some((_, command)) = SCENARIOS.iter().find(|(name, _)| *name == args.scenario) else {
        let known: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
        bail!("no scenario `{}`\nhint: one of {}", args.scenario, known.join(", "));
    };
    let home = process::target_folder()?.join("ab");
    let baseline = build_revision(&args.revisions[0], &home)?;
    let (candidate, name) = match args.revisions.get(1) {
        Some(revision) => (build_revision(revision, &home)?, revision.as_str()),
        None => (keep(&process::build_lob(&[])?, &home.join("working-tree"))?, "the working tree"),
    };
    let input = home.join("input.mbp-10.dbn.zst");
    let mut synth = Command::new(&candidate);
    synth.args(["synth", "--records", RECORDS, "--instruments", "2", "--seed", "7", "--quiet"]);
    process::must(synth.arg("--out").arg(&input))?;
    let shell = |lob: &Path| {
        let quoted = |path: &Path| format!("'{}'", path.display());
        command.replace("LOB ", &format!("{} ", quoted(lob))).replace("INPUT", &quoted(&input))
    };
    eprintln!("{}: {} against {name}", args.scenario, args.revisions[0]);
    let mut ab = Command::new(&candidate);
    ab.arg("ab").arg("--baseline").arg(shell(&baseline));
    ab.arg("--candidate").arg(shell(&candidate)).args(&args.passed_on);
    Ok(process::exit_code(process::status(&mut ab)?))
}

fn parse(args: &[String]) -> Result<Args> {
    let mut parsed =
        Args { revisions: Vec::new(), scenario: "convert".to_owned(), passed_on: Vec::new() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--scenario" => {
                parsed.scenario = args.next().context("`--scenario` needs a name")?.clone();
            }
            "--" => parsed.passed_on.extend(args.by_ref().cloned()),
            flag if flag.starts_with('-') => {
                bail!("unknown option `{flag}`\nhint: options of `lob ab` go after `--`")
            }
            revision => parsed.revisions.push(revision.to_owned()),
        }
    }
    if !matches!(parsed.revisions.len(), 1 | 2) {
        bail!(
            "`ab` takes one or two revisions, found {}\nhint: cargo xtask ab main",
            parsed.revisions.len()
        );
    }
    Ok(parsed)
}

/// `lob` of a revision, in a work tree of its own below `home`; it stays for the next comparison.
fn build_revision(revision: &str, home: &Path) -> Result<PathBuf> {
    let commit = git(&["rev-parse", "--verify", "--quiet", &format!("{revision}^{{commit}}")])
        .with_context(|| format!("`{revision}` is no revision of this repository"))?;
    let short: String = commit.chars().take(12).collect();
    let home_of_it = home.join(&short);
    let tree = home_of_it.join("tree");
    if !tree.join("Cargo.toml").exists() {
        // A tree that was removed by hand is still on git's list.
        git(&["worktree", "prune"])?;
        let tree = tree.display().to_string();
        git(&["worktree", "add", "--detach", &tree, &commit])?;
    }
    keep(&build(&tree, &home.join("target"), &commit)?, &home_of_it)
}

/// Builds `tree` in a target folder that all revisions share, so that what they depend on is built
/// once. Cargo does not tell a crate of one tree from its namesake in another: ours go before the
/// folder turns to another revision.
fn build(tree: &Path, target: &Path, commit: &str) -> Result<PathBuf> {
    eprintln!("building `{}`", tree.display());
    let cargo = |args: &[&str]| {
        let mut command = process::cargo();
        command.current_dir(tree).args(args).env("CARGO_TARGET_DIR", target);
        process::must(&mut command)
    };
    let holds = target.join("revision");
    if std::fs::read_to_string(&holds).is_ok_and(|held| held != commit) {
        // Before the cleaning, so that one cut short is done again.
        write(&holds, "none")?;
        cargo(&["clean", "--release", "--workspace"])?;
    }
    std::fs::create_dir_all(target)
        .with_context(|| format!("cannot make `{}`", target.display()))?;
    write(&holds, commit)?;
    cargo(&["build", "--release", "--locked", "--package", "lob-cli"])?;
    Ok(target.join("release").join(format!("lob{}", std::env::consts::EXE_SUFFIX)))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

/// A copy of `binary` in `folder`: the next build overwrites the original.
fn keep(binary: &Path, folder: &Path) -> Result<PathBuf> {
    let kept = folder.join(format!("lob{}", std::env::consts::EXE_SUFFIX));
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make `{}`", folder.display()))?;
    std::fs::copy(binary, &kept)
        .with_context(|| format!("cannot copy `{}` to `{}`", binary.display(), kept.display()))?;
    Ok(kept)
}

fn git(args: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .current_dir(process::root())
        .args(args)
        .output()
        .context("cannot start git")?;
    if !output.status.success() {
        bail!(
            "`git {}` failed: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str]) -> Result<(usize, String, usize)> {
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        let parsed = parse(&args)?;
        Ok((parsed.revisions.len(), parsed.scenario, parsed.passed_on.len()))
    }

    #[test]
    fn revisions_scenario_and_the_rest_are_told_apart() {
        assert_eq!(check(&["main"]).unwrap(), (1, "convert".to_owned(), 0));
        let all = ["v1", "v2", "--scenario", "verify", "--", "--pairs", "8"];
        assert_eq!(check(&all).unwrap(), (2, "verify".to_owned(), 2));
        assert!(check(&[]).is_err());
        assert!(check(&["a", "b", "c"]).is_err());
        assert!(check(&["main", "--pairs", "8"]).unwrap_err().to_string().contains("after `--`"));
    }

    #[test]
    fn a_revision_that_does_not_exist_is_named() {
        let error = build_revision("no-such-revision", Path::new("unused")).unwrap_err();
        assert!(error.to_string().contains("no-such-revision"));
    }
}
