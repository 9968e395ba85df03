//! What the windows are, and which of them train.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use lob_contrastive::{
    Choice, Cutting, HeadLabel, InputSpec, Objective, Positives, PrepareOptions, Prepared,
    SignalSpec,
};

use lob_metrics::shown;

use super::{Input, Positive, Settings};
use crate::command::windows::{Source, parse_days, parse_moment};

impl Settings {
    pub(in crate::command::train) fn input(&self, source: &Source) -> Result<InputSpec> {
        let window = self.window();
        let stride = self.stride.unwrap_or((window / 16).max(1));
        Ok(match (source, self.input) {
            (Source::Generated(_), Some(_)) => bail!("--input is for stores"),
            (Source::Generated(kind), None) => InputSpec::Signals {
                window,
                stride,
                spec: SignalSpec {
                    kind: *kind,
                    n_signals: self.signals.unwrap_or(300),
                    n_rows: self.rows.unwrap_or(8 * window),
                    n_channels: self.channels.unwrap_or(2),
                    seed: self.seed.unwrap_or(0),
                },
            },
            (Source::Store(_), Some(Input::Images)) => InputSpec::Images {
                window,
                stride,
                row_pool: self.row_pool.unwrap_or(6),
                bin_pool: self.bin_pool.unwrap_or(4),
                features: self.features.clone().unwrap_or_else(|| vec!["volume".to_owned()]),
            },
            (Source::Store(_), _) => InputSpec::Bins { window, stride },
        })
    }

    pub(in crate::command::train) fn prepare_options(
        &self,
        source: &Source,
    ) -> Result<PrepareOptions> {
        let is_store = matches!(source, Source::Store(_));
        let usual = if is_store { Positive::Near } else { Positive::Apart };
        let positives = match self.positives.unwrap_or(usual) {
            Positive::Apart => Positives::Apart { max_gap: self.max_gap.unwrap_or(self.window()) },
            Positive::Near => {
                Positives::Near { max_shift: self.max_shift.unwrap_or(self.window() / 2).max(1) }
            }
            Positive::Same => Positives::Same,
        };
        let volatility_labels = is_store && self.objective()? == Objective::SupCon;
        let cutting = match &self.train_until {
            Some(text) => Cutting::Until(parse_moment(text).context("--train-until")?),
            None => Cutting::Shares,
        };
        let choice = self.choice()?;
        ensure!(
            is_store || (choice.is_all() && cutting == Cutting::Shares),
            "--symbols, --days and --train-until are for stores"
        );
        Ok(PrepareOptions { volatility_labels, cutting, choice, ..PrepareOptions::new(positives) })
    }

    /// Which files of a store are trained on.
    fn choice(&self) -> Result<Choice> {
        let days = self.days.as_deref().map(parse_days).transpose().context("--days")?;
        let days = days.map(|days| (days.first, days.last));
        Ok(Choice { symbols: self.symbols.clone().unwrap_or_default(), days })
    }

    /// What a head is fitted to; `None` if to nothing.
    pub(in crate::command::train) fn head_label(
        &self,
        path: &Path,
        choice: &Choice,
        prepared: &Prepared,
    ) -> Result<Option<HeadLabel>> {
        match self.head_label.as_deref() {
            Some("none") => Ok(None),
            name => Ok(Some(HeadLabel::of(path, choice, prepared, name)?)),
        }
    }

    /// Refuses to go on with a run on other windows than the settings at `path` name: a checkpoint
    /// does not know where its store was cut.
    pub(in crate::command::train) fn check_same_windows(&self, path: &Path) -> Result<()> {
        let context = || format!("settings in `{}`", shown(path.display()));
        let text = std::fs::read_to_string(path).with_context(context)?;
        let before: Self = toml::from_str(&text).with_context(context)?;
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        let symbols = |of: &Self| text(&of.symbols.as_ref().map(|symbols| symbols.join(",")));
        for (name, before, now) in [
            ("train-until", text(&before.train_until), text(&self.train_until)),
            ("days", text(&before.days), text(&self.days)),
            ("symbols", symbols(&before), symbols(self)),
        ] {
            ensure!(
                before == now,
                "cannot resume: the run began with --{name} `{}`, not `{}`\nhint: give what it began \
                 with, or another folder",
                shown(&before),
                shown(&now)
            );
        }
        Ok(())
    }
}
