//! The latest numbers of a file of JSON lines, such as the `metrics.jsonl` of a training run.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::prometheus::Page;
use crate::{JsonLinesTail, Unavailable};

/// Fields told apart; a line with more is no line of metrics.
const MAX_FIELDS: usize = 256;

/// Follows a file whose lines are JSON objects of numbers and keeps the latest of each field.
///
/// Objects within objects are named `outer.inner`; texts and lists are left out.
#[derive(Debug)]
pub struct Watch {
    name: String,
    tail: JsonLinesTail,
    fields: BTreeMap<String, f64>,
    lines: u64,
    refused: u64,
    latest: Option<Instant>,
}

impl Watch {
    /// Follows the file at `path`, which need not exist yet; `name` is its label in Prometheus.
    #[must_use]
    pub fn new(name: &str, path: &Path) -> Self {
        let tail = JsonLinesTail::new(path);
        let fields = BTreeMap::new();
        Self { name: name.to_owned(), tail, fields, lines: 0, refused: 0, latest: None }
    }

    /// Its label in Prometheus.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes in what was written since the last call and returns how many lines that was.
    ///
    /// # Errors
    /// Where the file cannot be read (yet); the next call tries again.
    pub fn poll(&mut self) -> Result<u64, Unavailable> {
        let lines = self.tail.poll()?;
        let mut taken = 0;
        for line in &lines {
            match serde_json::from_str::<Value>(line) {
                Ok(Value::Object(object)) if object.len() <= MAX_FIELDS => {
                    for (key, value) in &object {
                        self.take(key, value, 0);
                    }
                    taken += 1;
                }
                _ => self.refused += 1,
            }
        }
        if taken > 0 {
            self.latest = Some(Instant::now());
        }
        self.lines += taken;
        Ok(taken)
    }

    /// The latest value of every field.
    #[must_use]
    pub fn fields(&self) -> &BTreeMap<String, f64> {
        &self.fields
    }

    /// Lines taken in, and lines that were no object of numbers.
    #[must_use]
    pub fn lines(&self) -> (u64, u64) {
        (self.lines, self.refused + self.tail.skipped())
    }

    fn take(&mut self, key: &str, value: &Value, depth: u32) {
        match value {
            Value::Number(number) => {
                let room = self.fields.len() < MAX_FIELDS || self.fields.contains_key(key);
                if let Some(number) = number.as_f64().filter(|_| room) {
                    self.fields.insert(key.to_owned(), number);
                }
            }
            Value::Object(object) if depth < 2 => {
                for (inner, value) in object {
                    self.take(&format!("{key}.{inner}"), value, depth + 1);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn write_page(&self, page: &mut Page) {
        let file = ("file", self.name.as_str());
        for (field, value) in &self.fields {
            let help = "The latest value of a field of a watched file.";
            page.add("lob_watch", "gauge", help, &[file, ("field", field)], *value);
        }
        let (lines, refused) = self.lines();
        let help = "Lines taken in from a watched file.";
        page.add("lob_watch_lines_total", "counter", help, &[file], lines as f64);
        let help = "Lines of a watched file that were no object of numbers.";
        page.add("lob_watch_refused_total", "counter", help, &[file], refused as f64);
        if let Some(latest) = self.latest {
            let help = "Seconds since a watched file last grew.";
            let age = latest.elapsed().as_secs_f64();
            page.add("lob_watch_age_seconds", "gauge", help, &[file], age);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_number_of_each_field_is_kept() {
        let path = std::env::temp_dir().join(format!("lob-watch-{}.jsonl", std::process::id()));
        std::fs::write(
            &path,
            "{\"step\":1,\"loss\":2.5,\"note\":\"x\"}\nnonsense\n{\"step\":2,\"eval\":{\"top1\":0.5}}\n[1]\n",
        )
        .unwrap();
        let mut watch = Watch::new("m", &path);
        assert_eq!(watch.poll(), Ok(2));
        let fields: Vec<(&str, f64)> =
            watch.fields().iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(fields, [("eval.top1", 0.5), ("loss", 2.5), ("step", 2.0)]);
        assert_eq!(watch.lines(), (2, 2));
        let mut page = Page::default();
        watch.write_page(&mut page);
        let text = page.finish();
        assert!(text.contains("lob_watch{file=\"m\",field=\"loss\"} 2.5"), "{text}");
        std::fs::remove_file(&path).unwrap();
    }
}
