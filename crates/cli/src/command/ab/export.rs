//! The launches' times as a file: JSON with hyperfine's keys, Markdown, CSV.

use std::path::PathBuf;

use anyhow::{Context, Result};
use lob_metrics::stats::quantile;
use lob_metrics::{AbOutcome, Unit, shown};
use serde_json::{Value, json};

use super::launch::Record;
use super::{Args, SideName, words};
use crate::output;

/// A file to write, and its format by its name.
#[derive(Debug, Clone)]
pub(super) struct Target {
    path: PathBuf,
    format: Format,
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Json,
    Markdown,
    Csv,
}

/// Times of one command, in seconds.
struct Times {
    command: String,
    mean: f64,
    /// Of a sample, so that one launch has none.
    stddev: Option<f64>,
    median: f64,
    user: Option<f64>,
    system: Option<f64>,
    min: f64,
    max: f64,
    all: Vec<f64>,
    exit_codes: Vec<Option<i32>>,
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
        let format = match extension.as_deref() {
            Some("json") => Format::Json,
            Some("md") => Format::Markdown,
            Some("csv") => Format::Csv,
            _ => return Err("expected a file that ends in .json, .md or .csv".to_owned()),
        };
        Ok(Self { path, format })
    }

    pub(super) fn write(&self, args: &Args, outcome: &AbOutcome, records: &[Record]) -> Result<()> {
        let sides = [SideName::Baseline, SideName::Candidate];
        let times: Vec<Times> =
            sides.iter().filter_map(|side| Times::of(*side, args, records)).collect();
        let text = match self.format {
            Format::Json => as_json(&times, outcome)?,
            Format::Markdown => as_markdown(&times, outcome),
            Format::Csv => as_csv(&times),
        };
        output::write_file(&self.path, text.as_bytes())
            .with_context(|| format!("cannot write `{}`", shown(self.path.display())))?;
        Ok(())
    }
}

impl Times {
    fn of(side: SideName, args: &Args, records: &[Record]) -> Option<Self> {
        let of_side: Vec<&Record> = records.iter().filter(|r| r.side == side).collect();
        let all: Vec<f64> = of_side.iter().map(|r| r.wall_s).collect();
        let mean = mean(&all)?;
        let squares: f64 = all.iter().map(|x| (x - mean).powi(2)).sum();
        let known = |pick: fn(&Record) -> Option<f64>| -> Option<f64> {
            self::mean(&of_side.iter().map(|r| pick(r)).collect::<Option<Vec<f64>>>()?)
        };
        Some(Self {
            command: args.command(side).to_owned(),
            mean,
            stddev: (all.len() > 1).then(|| (squares / (all.len() - 1) as f64).sqrt()),
            median: quantile(&all, 0.5)?,
            user: known(|r| r.user_s),
            system: known(|r| r.system_s),
            min: quantile(&all, 0.0)?,
            max: quantile(&all, 1.0)?,
            exit_codes: of_side.iter().map(|r| r.exit_code).collect(),
            all,
        })
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn as_json(times: &[Times], outcome: &AbOutcome) -> Result<String> {
    let result = |t: &Times| -> Value {
        json!({
            "command": t.command, "mean": t.mean, "stddev": t.stddev, "median": t.median,
            "user": t.user, "system": t.system, "min": t.min, "max": t.max,
            "times": t.all, "exit_codes": t.exit_codes,
        })
    };
    let results: Vec<Value> = times.iter().map(result).collect();
    let document = json!({ "results": results, "comparison": outcome });
    let mut text = serde_json::to_string_pretty(&document).context("cannot encode JSON")?;
    text.push('\n');
    Ok(text)
}

/// hyperfine's table, and below it the verdicts, which that has none of.
fn as_markdown(times: &[Times], outcome: &AbOutcome) -> String {
    let cell = |text: &str| shown(text).to_string().replace('|', "\\|");
    let mut out =
        "| Command | Mean [ms] | Min [ms] | Max [ms] | Relative |\n|:---|---:|---:|---:|---:|\n"
            .to_owned();
    let base = times.first().map_or(1.0, |t| t.mean);
    for t in times {
        let ms = |seconds: f64| format!("{:.1}", seconds * 1e3);
        let spread = t.stddev.map_or(String::new(), |s| format!(" ± {}", ms(s)));
        out.push_str(&format!(
            "| `{}` | {}{spread} | {} | {} | {:.2} |\n",
            cell(&t.command),
            ms(t.mean),
            ms(t.min),
            ms(t.max),
            t.mean / base
        ));
    }
    out.push_str("\n| Metric | Verdict | Baseline | Candidate | Change | Interval |\n|:---|:---|---:|---:|---:|---:|\n");
    for m in &outcome.metrics {
        let (unit, [low, high]): (Unit, _) = (m.metric.unit, m.interval);
        let verdict = if m.not_judged { "not judged".to_owned() } else { words::word(m.verdict) };
        out.push_str(&format!(
            "| {} | {verdict} | {} | {} | {:+.1} % | {:+.1} to {:+.1} % |\n",
            cell(&m.metric.name),
            unit.format(m.baseline),
            unit.format(m.candidate),
            m.effect * 100.0,
            low * 100.0,
            high * 100.0
        ));
    }
    out.push_str(&format!(
        "\n**{}** after {} pairs\n",
        words::word(outcome.verdict),
        outcome.pairs
    ));
    out
}

fn as_csv(times: &[Times]) -> String {
    let mut out = "command,mean,stddev,median,user,system,min,max\n".to_owned();
    for t in times {
        let known = |value: Option<f64>| value.map_or(String::new(), |v| v.to_string());
        let fields = [
            quoted(&t.command),
            t.mean.to_string(),
            known(t.stddev),
            t.median.to_string(),
            known(t.user),
            known(t.system),
            t.min.to_string(),
            t.max.to_string(),
        ];
        out.push_str(&fields.join(","));
        out.push('\n');
    }
    out
}

/// RFC 4180.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_that_of_the_name() {
        for good in ["a.json", "b.MD", "x/y.csv"] {
            assert!(Target::parse(good).is_ok(), "{good}");
        }
        for bad in ["a", "a.txt", ".json", "a.json.gz"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn commands_with_commas_and_quotes_stay_one_field() {
        assert_eq!(quoted("a b"), "a b");
        assert_eq!(quoted("echo \"a,b\"\n"), "\"echo \"\"a,b\"\"\n\"");
    }
}
