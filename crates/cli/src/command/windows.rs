//! What `train`, `embed`, `eval` and `signals` share: the source, what is chosen of it, and the
//! windows that a model is for.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use lob_contrastive::{
    Choice, Cutting, InputSpec, ModelFile, PrepareOptions, Prepared, Seen, SignalKind, TimeRange,
    open_store, prepare,
};
use lob_metrics::shown;
use serde_json::{Value, json};
use time::{Date, OffsetDateTime, format_description::well_known::Iso8601};

/// A store, or signals made on the spot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Store(PathBuf),
    Generated(SignalKind),
}

impl std::str::FromStr for Source {
    type Err = lob_contrastive::ContrastiveError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("generated:") {
            Some(kind) => kind.parse().map(Self::Generated),
            None => Ok(Self::Store(PathBuf::from(text))),
        }
    }
}

impl Source {
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Store(path) => Some(path),
            Self::Generated(_) => None,
        }
    }
}

/// Which files of a store are used.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ChoiceArgs {
    /// Only these instruments of a store, comma-separated: symbol, id or SYMBOL@ID
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub(crate) symbols: Vec<String>,
    /// Only these days of a store, YYYY-MM-DD; both ends belong to it, and either may be left out
    #[arg(long, value_name = "FROM..TO", value_parser = parse_days)]
    pub(crate) days: Option<Days>,
}

impl ChoiceArgs {
    pub(crate) fn choice(&self) -> Choice {
        let days = self.days.clone().map(|days| (days.first, days.last));
        Choice { symbols: self.symbols.clone(), days }
    }
}

/// First and last day of a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Days {
    pub(crate) first: String,
    pub(crate) last: String,
}

/// `FROM..TO`, `FROM..`, `..TO` or one day.
pub(crate) fn parse_days(text: &str) -> Result<Days> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let day = |given: &str, open: &str| match given {
        "" => Ok(open.to_owned()),
        given => parse_day(given).map(|_| given.to_owned()),
    };
    ensure!(text != ".." && !text.is_empty(), "expected FROM..TO, two days as YYYY-MM-DD");
    let days = Days { first: day(first, "0000-01-01")?, last: day(last, "9999-12-31")? };
    ensure!(days.first <= days.last, "`{first}` is after `{last}`");
    Ok(days)
}

fn parse_day(text: &str) -> Result<Date> {
    let parsed = Date::parse(text, &Iso8601::DATE).ok().filter(|_| text.len() == 10);
    parsed.with_context(|| format!("`{text}` is no day, expected YYYY-MM-DD"))
}

/// A moment, ns since 1970: a time as RFC 3339 has it, or a day, which begins at midnight UTC.
pub(crate) fn parse_moment(text: &str) -> Result<u64> {
    let expected = || {
        format!("`{text}` is no time, expected YYYY-MM-DD or a time such as 2024-01-02T14:30:00Z")
    };
    let at = match parse_day(text) {
        Ok(day) => day.midnight().assume_utc(),
        Err(_) => {
            let rfc = &time::format_description::well_known::Rfc3339;
            OffsetDateTime::parse(text, rfc).ok().with_context(expected)?
        }
    };
    u64::try_from(at.unix_timestamp_nanos()).ok().with_context(expected)
}

/// The windows of a source for a model, and how they were cut.
pub(crate) struct Opened {
    pub(crate) prepared: Prepared,
    /// Where the parts come from: `model`, `fresh` or `none`.
    pub(crate) cut_by: &'static str,
    /// Whether windows after the model's training part are among those it learned from.
    pub(crate) has_trained_windows: bool,
    /// Choice of files that was taken.
    pub(crate) choice: Choice,
    /// What people should know of it.
    pub(crate) notes: Vec<String>,
}

impl Opened {
    /// For the JSON document.
    pub(crate) fn split(&self) -> Value {
        let parts = &self.prepared.split;
        json!({
            "by": self.cut_by,
            "cuts": self.prepared.cuts,
            "windows": {
                "train": parts.train.len(),
                "validation": parts.validation.len(),
                "test": parts.test.len(),
            },
            "trained_windows": self.has_trained_windows,
            "symbols": self.choice.symbols,
            "days": self.choice.days,
        })
    }
}

/// What windows are opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Every window there is, whatever the model has seen; with those of no part if `all`.
    Embed { all: bool },
    /// Scores on windows after those that a probe is fitted on, none of which trained the model.
    Evaluate { allow_trained: bool },
}

/// The windows of a source as a model takes them.
pub(crate) fn open_for(
    model: &ModelFile,
    source: &Source,
    choice: &Choice,
    purpose: Purpose,
) -> Result<Opened> {
    let input = match (&model.input, source) {
        (InputSpec::Signals { window, stride, spec }, Source::Generated(kind)) => {
            // Other signals than those it was trained on.
            let seed = spec.seed.wrapping_add(1);
            let spec = lob_contrastive::SignalSpec { kind: *kind, seed, ..*spec };
            InputSpec::Signals { window: *window, stride: *stride, spec }
        }
        (InputSpec::Signals { .. }, Source::Store(path)) => bail!(
            "the model was trained on generated signals, `{}` is a store\nhint: use generated:KIND",
            shown(path.display())
        ),
        (_, Source::Generated(kind)) => {
            bail!("the model was trained on a store, not on signals such as generated:{kind}")
        }
        (input, Source::Store(_)) => input.clone(),
    };
    let Source::Store(path) = source else {
        ensure!(choice.is_all(), "--symbols and --days are for stores");
        let prepared = prepare(&input, None, &options(model, Cutting::Shares, choice))?;
        return Ok(opened(prepared, "fresh", choice));
    };
    let open = |cutting: Cutting, choice: &Choice| -> Result<Prepared> {
        Ok(prepare(&input, Some(path), &options(model, cutting, choice))?)
    };
    match purpose {
        Purpose::Embed { all } => to_embed(model, path, choice, all, open),
        Purpose::Evaluate { allow_trained } => {
            let opened = to_evaluate(model, path, choice, allow_trained, open)?;
            check_parts(&opened, model)?;
            Ok(opened)
        }
    }
}

fn options(model: &ModelFile, cutting: Cutting, choice: &Choice) -> PrepareOptions {
    PrepareOptions {
        scale: Some(model.scale.clone()),
        cutting,
        choice: choice.clone(),
        ..PrepareOptions::new(model.positives)
    }
}

fn opened(prepared: Prepared, cut_by: &'static str, choice: &Choice) -> Opened {
    let notes = prepared.notes.clone();
    Opened { prepared, cut_by, has_trained_windows: false, choice: choice.clone(), notes }
}

/// What a model has seen of a store; of the chosen files where the store is not that of training.
fn seen(model: &ModelFile, path: &Path, chosen: &Choice) -> Result<Seen> {
    let training = model.training.as_ref();
    let choice = training.map_or(Choice::ALL, |training| training.choice.clone());
    let symbols = training.and_then(|t| t.facts.as_ref()).map(|facts| facts.symbols.as_slice());
    let trained = training.and_then(|training| training.trained);
    let of = |files: &Choice| -> Result<Seen> {
        let store = open_store(path, files)?;
        Ok(Seen::of(&store, model.data, &choice, symbols.unwrap_or_default(), trained))
    };
    match of(&Choice::ALL)? {
        Seen::Same => Ok(Seen::Same),
        other if chosen.is_all() => Ok(other),
        // A store that has grown since: what was chosen of it counts.
        _ => of(chosen),
    }
}

fn to_embed(
    model: &ModelFile,
    path: &Path,
    choice: &Choice,
    all: bool,
    open: impl Fn(Cutting, &Choice) -> Result<Prepared>,
) -> Result<Opened> {
    let cuts = model.training.as_ref().and_then(|training| training.cuts);
    let is_same = seen(model, path, choice)? == Seen::Same;
    match cuts {
        Some(cuts) if is_same => {
            let cutting = if all { Cutting::Marked(cuts) } else { Cutting::At(cuts) };
            Ok(opened(open(cutting, choice)?, "model", choice))
        }
        // Nothing of another store is a part of that training.
        Some(_) => Ok(opened(open(Cutting::Whole, choice)?, "none", choice)),
        None if all => Ok(opened(open(Cutting::Whole, choice)?, "none", choice)),
        // A model that does not say where it was cut was cut by shares.
        None => {
            let cut_by = if is_same { "model" } else { "none" };
            Ok(opened(open(Cutting::Shares, choice)?, cut_by, choice))
        }
    }
}

fn to_evaluate(
    model: &ModelFile,
    path: &Path,
    choice: &Choice,
    allow_trained: bool,
    open: impl Fn(Cutting, &Choice) -> Result<Prepared>,
) -> Result<Opened> {
    let training = model.training.as_ref();
    let cuts = training.and_then(|training| training.cuts);
    let trained = training.and_then(|training| training.trained);
    let fresh = |note: String| -> Result<Opened> {
        let mut opened = opened(open(Cutting::Shares, choice)?, "fresh", choice);
        opened.notes.push(note);
        Ok(opened)
    };
    match seen(model, path, choice)? {
        Seen::Same => {
            // Without a choice the windows are those of training.
            let own = training.map(|training| &training.choice).filter(|_| choice.is_all());
            let choice = own.unwrap_or(choice);
            let cutting = cuts.map_or(Cutting::Shares, Cutting::At);
            Ok(opened(open(cutting, choice)?, "model", choice))
        }
        Seen::Later { store } => fresh(format!(
            "all of the store ({store}) is after the training windows{}: probes are fitted on a \
             fresh split of it",
            of_range(trained)
        )),
        Seen::Others => fresh(
            "the store has none of the instruments that the model was trained on: probes are \
             fitted on a fresh split of it"
                .to_owned(),
        ),
        Seen::Unknown => fresh(
            "the model file does not say which windows trained it: this store may have some of \
             them; probes are fitted on a fresh split of it"
                .to_owned(),
        ),
        Seen::Partly { symbols, store } => {
            let names: Vec<_> = symbols.iter().map(|name| shown(name).to_string()).collect();
            let what = format!(
                "the store has bins of {} from {store}, and the model was trained on these \
                 instruments{}, in another store",
                names.join(", "),
                of_range(trained)
            );
            ensure!(
                allow_trained,
                "{what}: windows that trained the model would be evaluated\nhint: evaluate on the \
                 training store, on later days (--days), or mark the result with \
                 --allow-trained-windows"
            );
            let mut opened = fresh(format!(
                "warning: {what}. Windows that trained the model are evaluated: no score of it here \
                 is one on new data"
            ))?;
            opened.has_trained_windows = true;
            Ok(opened)
        }
        _ => bail!("what the model has seen of `{}` is not known", shown(path.display())),
    }
}

fn of_range(range: Option<TimeRange>) -> String {
    range.map_or_else(String::new, |range| format!(" of {range}"))
}

/// Refuses a split that leaves nothing to fit probes on, to choose them on, or to score them on.
fn check_parts(opened: &Opened, model: &ModelFile) -> Result<()> {
    let prepared = &opened.prepared;
    let parts = &prepared.split;
    let range = TimeRange::of_windows(&prepared.origins);
    let cuts = prepared.cuts.map_or_else(String::new, |cuts| {
        let (validation, test) = (cuts.validation_from, cuts.test_from);
        let utc = lob_contrastive::utc;
        format!(
            "; validation begins at {}, test at {}, each {} bins after it",
            utc(validation),
            utc(test),
            cuts.embargo
        )
    });
    for (name, part) in
        [("training", &parts.train), ("validation", &parts.validation), ("test", &parts.test)]
    {
        ensure!(
            !part.is_empty(),
            "the {name} part is empty: none of {} windows of {} bins{} lies in it{cuts}\nhint: use a \
             longer recording or smaller bins, or train with a shorter --window",
            prepared.origins.len(),
            window_of(&model.input),
            of_range(range)
        );
    }
    Ok(())
}

/// Bins or rows of a window.
pub(crate) fn window_of(input: &InputSpec) -> usize {
    match input {
        InputSpec::Bins { window, .. }
        | InputSpec::Images { window, .. }
        | InputSpec::Signals { window, .. } => *window,
    }
}

/// Refuses a model of another training than the first one's: of other data or cuts, where both say.
pub(crate) fn check_same_training(first: &ModelFile, other: &ModelFile, path: &Path) -> Result<()> {
    let cuts = |model: &ModelFile| model.training.as_ref().and_then(|training| training.cuts);
    let differ = first.data.zip(other.data).is_some_and(|(a, b)| a != b)
        || cuts(first).zip(cuts(other)).is_some_and(|(a, b)| a != b);
    ensure!(
        !differ,
        "`{}` was trained on other data, or cut elsewhere, than the first model\nhint: train it with \
         the same store, --symbols, --days and --train-until, and another --seed",
        shown(path.display())
    );
    Ok(())
}

/// Says so where a model was trained on another store than these windows are of: features of other
/// data are what it is for.
pub(crate) fn other_data(model: &ModelFile, prepared: &Prepared) -> Option<String> {
    let (trained, now) = model.data.zip(prepared.data)?;
    (trained != now)
        .then(|| format!("the model was trained on other data ({trained}) than these ({now})"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments_are_read_and_others_named() {
        let days = |text: &str| parse_days(text).map(|days| (days.first, days.last)).ok();
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(days("2024-01-02..2024-02-01"), pair("2024-01-02", "2024-02-01"));
        assert_eq!(days("2024-01-02"), pair("2024-01-02", "2024-01-02"));
        assert_eq!(days("..2024-01-02"), pair("0000-01-01", "2024-01-02"));
        assert_eq!(days("2024-01-02.."), pair("2024-01-02", "9999-12-31"));
        for odd in ["", "..", "2024-1-2", "2024-13-01", "today..", "2024-01-03..2024-01-02", "a..b"]
        {
            assert_eq!(days(odd), None, "{odd}");
        }
        assert_eq!(parse_moment("1970-01-02").unwrap(), 86_400_000_000_000);
        assert_eq!(parse_moment("1970-01-01T02:00:00.5+02:00").unwrap(), 500_000_000);
        for odd in ["", "now", "1969-12-31", "2024-01-02 10:00", "12", "9999-01-01"] {
            let said = parse_moment(odd).unwrap_err().to_string();
            assert!(said.contains("expected YYYY-MM-DD"), "{odd}: {said}");
        }
    }
}
