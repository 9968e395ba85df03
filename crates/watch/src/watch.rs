//! The latest numbers of a file of JSON lines, such as the `metrics.jsonl` of a training run.

mod lenient;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use lob_scope::Unavailable;
use serde_json::Value;

use crate::monitor::JsonLinesTail;
use crate::prometheus::page::Page;

/// Fields told apart; a line with more is no line of metrics.
const MAX_FIELDS: usize = 256;

/// Follows a file whose lines are JSON objects of numbers and keeps the latest of each field.
///
/// Objects within objects are named `outer.inner`; texts and lists are left out. `NaN`, `Infinity`
/// and numbers too large for a double are taken, bare or as texts, and null is NaN: a field keeps no
/// old value when its number is lost.
#[derive(Debug)]
pub struct Watch {
    name: String,
    tail: JsonLinesTail,
    fields: BTreeMap<String, f64>,
    lines: u64,
    refused: u64,
    /// When the file was last written to.
    written: Option<SystemTime>,
}

impl Watch {
    /// Follows the file at `path`, which need not exist yet; `name` is its label in Prometheus.
    #[must_use]
    pub fn new(name: &str, path: &Path) -> Self {
        let tail = JsonLinesTail::new(path);
        let fields = BTreeMap::new();
        Self { name: name.to_owned(), tail, fields, lines: 0, refused: 0, written: None }
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
        self.written = None;
        let lines = self.tail.poll()?;
        self.written = std::fs::metadata(self.tail.path()).and_then(|file| file.modified()).ok();
        let mut taken = 0;
        for line in &lines {
            match lenient::parse(line) {
                Some(Value::Object(object)) if object.len() <= MAX_FIELDS => {
                    for (key, value) in &object {
                        self.take(key, value, 0);
                    }
                    taken += 1;
                }
                _ => self.refused += 1,
            }
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
            Value::Number(number) => self.set(key, number.as_f64()),
            Value::Object(object) if depth < 2 => {
                self.fields.remove(key);
                for (inner, value) in object {
                    self.take(&format!("{key}.{inner}"), value, depth + 1);
                }
            }
            // The whole of an object may be missing on a line.
            Value::Null if self.holds_object(key) => {}
            _ => self.set(key, lenient::not_finite(value)),
        }
    }

    fn set(&mut self, key: &str, number: Option<f64>) {
        let has_room = self.fields.len() < MAX_FIELDS || self.fields.contains_key(key);
        if let Some(number) = number.filter(|_| has_room) {
            self.fields.insert(key.to_owned(), number);
        }
    }

    fn holds_object(&self, key: &str) -> bool {
        let prefix = format!("{key}.");
        self.fields
            .range(prefix.clone()..)
            .next()
            .is_some_and(|(name, _)| name.starts_with(&prefix))
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
        if let Some(written) = self.written {
            let help = "Seconds since a watched file was last written to, by the file's own time.";
            // A time in the future is that of another clock.
            let age = written.elapsed().unwrap_or_default().as_secs_f64();
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

    /// A watch of a file with these lines, which is gone when it is dropped.
    fn watch(name: &str, text: &str) -> (Watch, std::path::PathBuf) {
        let name = format!("lob-watch-{name}-{}.jsonl", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        (Watch::new("m", &path), path)
    }

    fn page(watch: &Watch) -> String {
        let mut page = Page::default();
        watch.write_page(&mut page);
        page.finish()
    }

    #[test]
    fn a_loss_that_is_no_number_is_shown_and_steps_go_on() {
        for (word, shown) in [
            ("NaN", "NaN"),
            ("nan", "NaN"),
            ("null", "NaN"),
            ("\"NaN\"", "NaN"),
            ("Infinity", "+Inf"),
            ("-Infinity", "-Inf"),
            ("1e999", "+Inf"),
        ] {
            let text = format!(
                "{{\"step\": 1, \"loss\": 0.5, \"eval\": {{\"top1\": 1}}}}\n\
                 {{\"step\": 2, \"loss\": {word}, \"eval\": null, \"note\": \"x\"}}\n"
            );
            let (mut watch, path) = watch("nan", &text);
            assert_eq!(watch.poll(), Ok(2), "{word}");
            assert_eq!(watch.lines(), (2, 0));
            let page = page(&watch);
            assert!(page.contains("field=\"step\"} 2\n"), "{page}");
            assert!(page.contains(&format!("field=\"loss\"}} {shown}\n")), "{word}: {page}");
            let names: Vec<&str> = watch.fields().keys().map(String::as_str).collect();
            assert_eq!(names, ["eval.top1", "loss", "step"], "an object that is missing stays");
            std::fs::remove_file(&path).unwrap();
        }
        let (mut watch, path) = watch("first", "{\"loss\": null}\n");
        assert_eq!(watch.poll(), Ok(1));
        assert!(watch.fields()["loss"].is_nan(), "the first line, as JavaScript writes it");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_age_is_that_of_the_file() {
        let (mut watch, path) = watch("age", "{\"step\": 1}\n");
        let age = |watch: &Watch| {
            let page = page(watch);
            let line = page.lines().find(|line| line.starts_with("lob_watch_age_seconds{"))?;
            line.rsplit(' ').next()?.parse::<f64>().ok()
        };
        let set = |time| {
            std::fs::File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();
        };
        let now = SystemTime::now();
        for (ago_s, expected) in [(172_800, 172_800.0..172_900.0), (0, 0.0..100.0)] {
            set(now - std::time::Duration::from_secs(ago_s));
            watch.poll().unwrap();
            assert!(expected.contains(&age(&watch).unwrap()), "{:?}", age(&watch));
        }
        // The clock of another machine.
        set(now + std::time::Duration::from_secs(86_400));
        watch.poll().unwrap();
        assert_eq!(age(&watch), Some(0.0));
        std::fs::remove_file(&path).unwrap();
        assert!(watch.poll().is_err());
        assert_eq!(age(&watch), None, "unknown, not the last one known");
    }
}
