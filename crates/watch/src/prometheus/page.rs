//! A page under way.

use std::collections::BTreeMap;
use std::fmt::Write;

use lob_metrics::Measurement;
use lob_scope::ScopeStat;

use crate::{Alert, SensorValue};

/// Metric families, each kept together as the format demands.
#[derive(Debug, Default)]
pub(crate) struct Page {
    families: BTreeMap<String, Family>,
}

#[derive(Debug)]
struct Family {
    kind: &'static str,
    help: String,
    lines: String,
}

impl Page {
    /// Adds a sample to the family `name`, which gets its type and help from the first.
    pub(crate) fn add(
        &mut self,
        name: &str,
        kind: &'static str,
        help: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        self.add_as(name, "", kind, help, labels, value);
    }

    /// As [`Self::add`], for the samples `name_sum` and `name_count` of a summary.
    pub(crate) fn add_as(
        &mut self,
        name: &str,
        suffix: &str,
        kind: &'static str,
        help: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let family = self.families.entry(name.to_owned()).or_insert_with(|| Family {
            kind,
            help: help.replace('\\', "\\\\").replace('\n', "\\n"),
            lines: String::new(),
        });
        let labels: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(family.lines, "{name}{suffix}{labels} {}", number(value));
    }

    pub(crate) fn finish(self) -> String {
        self.families.into_iter().fold(String::new(), |mut out, (name, family)| {
            let Family { kind, help, lines } = family;
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}");
            out
        })
    }

    /// A sensor's value as a gauge, or its reason as a label: a gauge cannot say why it is absent.
    /// Rates are left out where they are known: their counters are on the page, and a rate over one
    /// look loses what happens between two scrapes.
    pub(crate) fn sensor(&mut self, sensor: &SensorValue) {
        let gpu = sensor.gpu.map(|gpu| gpu.to_string());
        let gpu_label = gpu.as_deref().map(|gpu| ("gpu", gpu));
        match (&sensor.value, sensor.as_gauge()) {
            (Ok(value), Some((name, help))) => {
                let labels: Vec<(&str, &str)> = gpu_label.into_iter().collect();
                self.add(name, "gauge", help, &labels, *value);
            }
            (Ok(_), None) => {}
            (Err(why), _) => {
                let labels: Vec<(&str, &str)> = [("sensor", sensor.name)]
                    .into_iter()
                    .chain(gpu_label)
                    .chain([("reason", why.reason.as_str())])
                    .collect();
                let help = "A sensor that has no value here, and why; always 1.";
                self.add("lob_sensor_unavailable_info", "gauge", help, &labels, 1.0);
            }
        }
    }

    pub(crate) fn alert(&mut self, alert: &Alert) {
        let labels = [("alert", alert.rule().name)];
        let active = if alert.is_active() { 1.0 } else { 0.0 };
        self.add(
            "lob_alert_active",
            "gauge",
            "Whether the alert is raised now, 1 or 0.",
            &labels,
            active,
        );
        let (help, raised) =
            ("Times the alert was raised since the program started.", alert.raised_total() as f64);
        self.add("lob_alert_raised_total", "counter", help, &labels, raised);
    }

    pub(super) fn measurement(&mut self, profile: &str, measurement: &Measurement) {
        let Some(value) = measurement.value() else { return };
        let name = format!("lob_{}", metric_name(&measurement.metric));
        let help = format!("The measurement `{}`, in {}.", measurement.metric, measurement.unit);
        self.add(&name, "gauge", &help, &[("profile", profile)], value);
    }

    pub(super) fn scope(&mut self, profile: &str, scope: &ScopeStat) {
        let labels = [("profile", profile), ("path", scope.path.as_str())];
        let calls = scope.calls as f64;
        self.add("lob_scope_calls_total", "counter", "Calls of the scope.", &labels, calls);
        let help = "Wall seconds inside the scope, inner scopes excluded.";
        self.add("lob_scope_self_seconds_total", "counter", help, &labels, scope.self_s);
        let (family, help) = ("lob_scope_seconds", "Wall seconds of a call of the scope.");
        for (q, value) in [("0.5", scope.p50_s), ("0.95", scope.p95_s), ("0.99", scope.p99_s)] {
            let labels = [labels[0], labels[1], ("quantile", q)];
            self.add(family, "summary", help, &labels, value);
        }
        self.add_as(family, "_sum", "summary", help, &labels, scope.total_s);
        self.add_as(family, "_count", "summary", help, &labels, calls);
    }
}

/// A name of letters, digits and underscores.
fn metric_name(metric: &str) -> String {
    metric.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn number(value: f64) -> String {
    match value {
        v if v.is_nan() => "NaN".to_owned(),
        v if v.is_infinite() => if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
        v => format!("{v}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_stay_together_and_labels_are_escaped() {
        let mut page = Page::default();
        page.add("b", "counter", "B.", &[("path", "x\"\\\n")], 1.0);
        page.add("a", "gauge", "A\nline.", &[], f64::INFINITY);
        page.add("b", "counter", "B.", &[], 2.5);
        let expected = "# HELP a A\\nline.\n# TYPE a gauge\na +Inf\n# HELP b B.\n\
                        # TYPE b counter\nb{path=\"x\\\"\\\\\\n\"} 1\nb 2.5\n";
        assert_eq!(page.finish(), expected);
    }
}
