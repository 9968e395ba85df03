//! What this program was made of.

use lob_runs::Build;

/// What the build script found out.
pub(crate) fn build() -> Build {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Build {
        revision: some(env!("LOB_BUILD_REVISION")),
        revision_unknown: some(env!("LOB_BUILD_REVISION_UNKNOWN")),
        features: env!("LOB_BUILD_FEATURES").split(',').filter_map(some).collect(),
    }
}

/// The answer to `lob --version --verbose`.
pub(crate) fn in_full() -> String {
    let build = build();
    let revision = build.revision.unwrap_or_else(|| {
        let reason = build.revision_unknown.as_deref().unwrap_or("no reason was given");
        format!("unknown ({reason}; LOB_REVISION names it at build time)")
    });
    let features = match build.features.as_slice() {
        [] => "none".to_owned(),
        features => features.join(", "),
    };
    format!(
        "lob {}\nrevision: {revision}\ntarget: {}\nfeatures: {features}\nprofile: {}",
        env!("CARGO_PKG_VERSION"),
        env!("LOB_BUILD_TARGET"),
        env!("LOB_BUILD_PROFILE"),
    )
}

/// Whether the arguments ask for more than a version: clap ends at the first `--version`.
pub(crate) fn is_asked_in_full(args: impl Iterator<Item = std::ffi::OsString>) -> bool {
    args.skip(1).filter_map(|arg| arg.into_string().ok()).any(|arg| {
        arg == "--verbose"
            || arg.strip_prefix('-').is_some_and(|flags| {
                !flags.starts_with('-')
                    && flags.chars().all(|c| "Vqv".contains(c))
                    && flags.contains('v')
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbose_is_heard_in_every_form_and_place() {
        let asked = |line: &str| is_asked_in_full(line.split(' ').map(Into::into));
        for line in [
            "lob --version --verbose",
            "lob --verbose --version",
            "lob -V -v",
            "lob -v -V",
            "lob -Vv",
        ] {
            assert!(asked(line), "{line}");
        }
        for line in ["lob --version", "lob -V", "lob -V -q", "verbose -V", "lob -V --very"] {
            assert!(!asked(line), "{line}");
        }
    }
}
