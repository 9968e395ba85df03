//! cargo-deny: the licences, bans and sources of `deny.toml`, and known advisories.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::Ran;
use crate::process;

const INSTALL: &str =
    "cargo-deny is not installed (`cargo install --locked cargo-deny`; .ci/run builds it)";
/// Names a clone of the advisory database, where the real one cannot be reached.
const DENY_DB: &str = "DENY_DB";
/// The folder cargo-deny looks for below its `db-path`: the name and the hash of the database's URL.
const DB_FOLDER: &str = "advisory-db-3157b0e258782691";
/// Longest wait for the database.
const FETCH_CAP: Duration = Duration::from_secs(120);

/// Licences, bans and sources: they need nothing but the crates, and gate.
pub(super) fn policy() -> Result<Ran> {
    if !process::has_subcommand("deny") {
        return Ok(Ran::LeftOut(INSTALL.to_owned()));
    }
    process::must(process::cargo().args(["deny", "check", "licenses", "bans", "sources"]))?;
    Ok(Ran::Passed)
}

/// Advisories, where the database can be reached or `DENY_DB` names a clone of it; not checked
/// otherwise, and never passed then.
pub(super) fn advisories() -> Result<Ran> {
    if !process::has_subcommand("deny") {
        return Ok(Ran::LeftOut(format!("not checked: {INSTALL}")));
    }
    if let Some(clone) = std::env::var_os(DENY_DB).filter(|clone| !clone.is_empty()) {
        return with_clone(Path::new(&clone));
    }
    let mut fetch = process::cargo();
    fetch.args(["deny", "fetch", "db"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !succeeds_within(&mut fetch, FETCH_CAP)? {
        let reason = format!(
            "not checked: the advisory database cannot be reached; {DENY_DB} may name a clone"
        );
        return Ok(Ran::LeftOut(reason));
    }
    process::must(process::cargo().args(["deny", "--offline", "check", "advisories"]))?;
    Ok(Ran::Passed)
}

/// Checks against a clone: through a folder of our own that holds it under the name cargo-deny
/// expects, so that the clone itself is only read.
fn with_clone(clone: &Path) -> Result<Ran> {
    let clone = clone
        .canonicalize()
        .with_context(|| format!("{DENY_DB} names `{}`, which is not there", clone.display()))?;
    ensure!(
        clone.join("crates").is_dir(),
        "{DENY_DB} names `{}`, which is not a clone of the advisory database: it has no `crates`\nhint: git clone https://github.com/RustSec/advisory-db",
        clone.display()
    );
    let home = process::target_folder()?.join("xtask-advisories");
    std::fs::create_dir_all(&home).with_context(|| format!("cannot make `{}`", home.display()))?;
    let link = home.join(DB_FOLDER);
    if link.symlink_metadata().is_ok() {
        std::fs::remove_file(&link)?;
    }
    link_to(&clone, &link)?;
    let settings = std::fs::read_to_string(process::root().join("deny.toml"))?;
    let config = home.join("deny.toml");
    std::fs::write(&config, with_db_path(&settings, &home)?)?;
    let mut deny = process::cargo();
    deny.args(["deny", "--offline", "--config"]).arg(&config).args(["check", "advisories"]);
    process::must(&mut deny)?;
    Ok(Ran::Passed)
}

#[cfg(unix)]
fn link_to(clone: &Path, link: &Path) -> Result<()> {
    std::os::unix::fs::symlink(clone, link)
        .with_context(|| format!("cannot link `{}`", link.display()))
}

#[cfg(not(unix))]
fn link_to(clone: &Path, _: &Path) -> Result<()> {
    bail!("`{}` cannot be linked to on this system", clone.display())
}

/// `deny.toml` with the place of the database.
fn with_db_path(settings: &str, home: &Path) -> Result<String> {
    const TABLE: &str = "[advisories]\n";
    if !settings.contains(TABLE) {
        bail!("deny.toml has no `[advisories]`");
    }
    let line = format!("{TABLE}db-path = {:?}\n", home.display().to_string());
    Ok(settings.replacen(TABLE, &line, 1))
}

/// Whether a command succeeds in time; one that does not end is stopped.
fn succeeds_within(command: &mut Command, cap: Duration) -> Result<bool> {
    let mut child = command.spawn().context("cannot start cargo")?;
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if begun.elapsed() > cap {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_given_its_time_and_no_more() {
        let run = |script: &str, cap| {
            succeeds_within(Command::new("sh").args(["-c", script]), cap).unwrap()
        };
        assert!(run("true", Duration::from_secs(60)));
        assert!(!run("false", Duration::from_secs(60)));
        assert!(!run("sleep 60", Duration::from_millis(10)));
    }

    #[test]
    fn the_place_of_the_database_stands_in_its_table() {
        let text =
            with_db_path("[graph]\n\n[advisories]\nversion = 2\n", Path::new("a/b")).unwrap();
        assert_eq!(text, "[graph]\n\n[advisories]\ndb-path = \"a/b\"\nversion = 2\n");
        assert!(with_db_path("[graph]\n", Path::new("a")).is_err());
        let ours = std::fs::read_to_string(process::root().join("deny.toml")).unwrap();
        assert!(with_db_path(&ours, Path::new("a")).is_ok());
    }
}
