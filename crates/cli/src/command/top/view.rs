//! A page of metrics, arranged for people.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use lob_metrics::{Unit, shown};
use lob_watch::{PrometheusFamily, PrometheusSample, parse_prometheus_text};
use serde_json::{Map, Value, json};

use super::text::{ago, in_unit, number, plain, series, styled};

/// One look.
pub(crate) struct View {
    at: Instant,
    families: Vec<PrometheusFamily>,
    /// Sensors and files that have no value, with the reason.
    pub(crate) unavailable: Vec<(String, String)>,
}

/// Rows under a title.
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
}

/// One figure.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) value: String,
    /// An alert on it is raised.
    pub(crate) alarming: bool,
    /// For shares: drawn as a bar.
    share: Option<f64>,
}

/// Machine figures in the order they are shown, with the alert that watches them.
const MACHINE: [(&str, &str, &str); 21] = [
    ("cpu busy", "lob_cpu_busy_ratio", "cpu"),
    ("memory used", "lob_memory_used_share_ratio", "memory"),
    ("waiting for cpu", "lob_pressure_cpu_ratio", ""),
    ("waiting for disk", "lob_pressure_io_ratio", "disk_io"),
    ("waiting for memory", "lob_pressure_memory_ratio", ""),
    ("idle for disk", "lob_cpu_iowait_ratio", ""),
    ("stolen", "lob_cpu_steal_ratio", ""),
    ("load 1 min", "lob_load_1m", ""),
    ("memory", "lob_memory_used_bytes", ""),
    ("of", "lob_memory_total_bytes", ""),
    ("disk read", "lob_disk_read_bytes_per_second", ""),
    ("disk written", "lob_disk_written_bytes_per_second", ""),
    ("net received", "lob_network_received_bytes_per_second", ""),
    ("net sent", "lob_network_sent_bytes_per_second", ""),
    ("switches per s", "lob_context_switches_per_s", ""),
    ("temperature", "lob_cpu_temperature_celsius", ""),
    ("frequency", "lob_cpu_frequency_hz", ""),
    ("power", "lob_cpu_power_watts", ""),
    ("energy", "lob_energy_joules_total", ""),
    ("CO2 (estimate, g)", "lob_co2_grams_total", ""),
    ("own memory", "lob_process_rss_bytes", ""),
];

/// Figures of a GPU.
const GPU: [(&str, &str, &str); 9] = [
    ("utilisation", "lob_gpu_utilisation_ratio", "gpu_utilisation"),
    ("memory used", "lob_gpu_memory_share_ratio", "gpu_memory"),
    ("memory", "lob_gpu_memory_used_bytes", ""),
    ("processes", "lob_gpu_processes", ""),
    ("own memory", "lob_gpu_process_memory_bytes", ""),
    ("power", "lob_gpu_power_watts", ""),
    ("temperature", "lob_gpu_temperature_celsius", ""),
    ("clock", "lob_gpu_sm_clock_hz", ""),
    ("memory clock", "lob_gpu_memory_clock_hz", ""),
];

/// Figures of a process: gauges, then counters shown per second.
const PROCESS: [(&str, &str); 5] = [
    ("memory", "lob_watched_rss_bytes"),
    ("threads", "lob_watched_threads"),
    ("cores in use", "lob_watched_cpu_seconds_total"),
    ("disk read", "lob_watched_disk_read_bytes_total"),
    ("disk written", "lob_watched_disk_written_bytes_total"),
];

impl View {
    /// Reads a page of metrics.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let families = parse_prometheus_text(text)?;
        let label = |sample: &PrometheusSample, name: &str| sample.labels.get(name).cloned();
        let mut unavailable = Vec::new();
        for family in families.iter().filter(|f| f.name.ends_with("_unavailable_info")) {
            for sample in &family.samples {
                let named = ["sensor", "file", "pid"].iter().find_map(|name| label(sample, name));
                let gpu = label(sample, "gpu").map_or(String::new(), |gpu| format!("[{gpu}]"));
                let name = format!("{}{gpu}", named.unwrap_or_default());
                unavailable.push((name, label(sample, "reason").unwrap_or_default()));
            }
        }
        Ok(Self { at: Instant::now(), families, unavailable })
    }

    /// Whether a second look would say more.
    pub(crate) fn has_counters(&self) -> bool {
        let counts = |f: &PrometheusFamily| f.kind == "counter" || f.kind == "summary";
        self.families.iter().any(counts)
    }

    /// Everything worth showing; rates need an earlier look.
    pub(crate) fn sections(&self, before: Option<&Self>) -> Vec<Section> {
        let mut sections = vec![self.alerts()];
        sections.extend(self.watched());
        sections.extend(self.requests(before));
        sections.extend(self.processes(before));
        sections.push(self.table("Machine", &MACHINE, &[]));
        for gpu in self.label_values("lob_gpu_utilisation_ratio", "gpu") {
            sections.push(self.table(&format!("GPU {gpu}"), &GPU, &[("gpu", &gpu)]));
        }
        sections.extend(self.others(before));
        sections.retain(|section| !section.rows.is_empty());
        sections
    }

    /// Lines for a terminal.
    pub(crate) fn lines(&self, before: Option<&Self>, source: &str, colours: bool) -> Vec<String> {
        let mut lines = vec![format!("lob top: {}", shown(source))];
        for section in self.sections(before) {
            lines.push(String::new());
            lines.push(styled(&section.title, "1", colours));
            let mut half: Option<String> = None;
            for row in &section.rows {
                let text = row.text(colours);
                match half.take() {
                    Some(left) => lines.push(format!("{left}  {text}")),
                    None if row.fits_half() => half = Some(text),
                    None => lines.push(text),
                }
            }
            lines.extend(half);
        }
        if !self.unavailable.is_empty() {
            let names: Vec<&str> = self.unavailable.iter().map(|(name, _)| name.as_str()).collect();
            lines.push(String::new());
            lines.push(styled(&format!("unavailable: {}", names.join(", ")), "2", colours));
        }
        lines
    }

    /// Every series by its full name, the counters' rates beside them.
    pub(crate) fn to_json(&self, before: Option<&Self>) -> Value {
        let (mut metrics, mut rates) = (Map::new(), Map::new());
        for family in self.families.iter().filter(|f| !f.name.ends_with("_unavailable_info")) {
            for sample in &family.samples {
                let name = series(sample);
                if let Some(rate) = self.rate(sample, family, before) {
                    rates.insert(name.clone(), json!(rate));
                }
                let value = sample.value;
                // JSON has no word for them, and null would say that there is no value.
                let word = (!value.is_finite()).then(|| number(value));
                metrics.insert(name, word.map_or_else(|| json!(value), Value::from));
            }
        }
        let unavailable: BTreeMap<&String, &String> =
            self.unavailable.iter().map(|(name, reason)| (name, reason)).collect();
        json!({ "metrics": metrics, "rates_per_s": rates, "unavailable": unavailable })
    }

    fn samples(&self, name: &str) -> impl Iterator<Item = (&PrometheusFamily, &PrometheusSample)> {
        let samples = |f| -> Vec<(&PrometheusFamily, &PrometheusSample)> {
            let family: &PrometheusFamily = f;
            family.samples.iter().map(|sample| (family, sample)).collect()
        };
        let all = self.families.iter().flat_map(samples);
        all.filter(move |(_, sample)| sample.name == name).collect::<Vec<_>>().into_iter()
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let fits = |sample: &PrometheusSample| {
            labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|v| v == value))
        };
        self.samples(name).find(|(_, sample)| fits(sample)).map(|(_, sample)| sample.value)
    }

    fn label_values(&self, name: &str, label: &str) -> Vec<String> {
        self.samples(name).filter_map(|(_, sample)| sample.labels.get(label).cloned()).collect()
    }

    /// Growth of a counter per second; `None` without an earlier look or after a restart.
    fn rate(
        &self,
        sample: &PrometheusSample,
        family: &PrometheusFamily,
        before: Option<&Self>,
    ) -> Option<f64> {
        let counts = family.kind == "counter"
            || (family.kind == "summary" && !sample.labels.contains_key("quantile"));
        let before = before.filter(|_| counts)?;
        let mut earlier = before.samples(&sample.name);
        let (_, then) = earlier.find(|(_, then)| then.labels == sample.labels)?;
        let passed_s = self.at.duration_since(before.at).as_secs_f64();
        (sample.value >= then.value && passed_s > 0.0)
            .then(|| (sample.value - then.value) / passed_s)
    }

    fn is_raised(&self, alert: &str) -> bool {
        self.value("lob_alert_active", &[("alert", alert)]).is_some_and(|active| active > 0.0)
    }

    fn table(&self, title: &str, table: &[(&str, &str, &str)], labels: &[(&str, &str)]) -> Section {
        let row = |(name, metric, alert): &(&str, &str, &str)| {
            let value = self.value(metric, labels)?;
            Some(Row {
                alarming: self.is_raised(alert),
                ..Row::new(name, in_unit(metric, value)).with_share(metric, value)
            })
        };
        Section { title: title.to_owned(), rows: table.iter().filter_map(row).collect() }
    }

    fn alerts(&self) -> Section {
        let raised = self.samples("lob_alert_active").filter(|(_, sample)| sample.value > 0.0);
        let row = |(_, sample): (_, &PrometheusSample)| {
            let name = sample.labels.get("alert").cloned().unwrap_or_default();
            let times = self.value("lob_alert_raised_total", &[("alert", &name)]);
            let times = times.map_or(String::new(), |n| format!("raised {n} times"));
            Row { alarming: true, ..Row::new(&name, times) }
        };
        Section { title: "Alerts".to_owned(), rows: raised.map(row).collect() }
    }

    fn watched(&self) -> Vec<Section> {
        let mut files = self.label_values("lob_watch_lines_total", "file");
        files.extend(self.label_values("lob_watch", "file"));
        files.sort();
        files.dedup();
        let section = |file: String| {
            let of = |name| {
                let of_file = |sample: &PrometheusSample| sample.labels.get("file") == Some(&file);
                self.samples(name).filter(move |(_, sample)| of_file(sample)).collect::<Vec<_>>()
            };
            let field = |(_, sample): &(_, &PrometheusSample)| {
                let name = sample.labels.get("field").cloned().unwrap_or_default();
                let alarming = !sample.value.is_finite();
                Row { alarming, ..Row::new(&name, number(sample.value)) }
            };
            let mut rows: Vec<Row> = of("lob_watch").iter().map(field).collect();
            let age = of("lob_watch_age_seconds");
            rows.extend(age.iter().map(|(_, s)| Row::new("last written", ago(s.value))));
            Section { title: file.clone(), rows }
        };
        files.into_iter().map(section).collect()
    }

    fn requests(&self, before: Option<&Self>) -> Option<Section> {
        let mut rows = Vec::new();
        for (family, sample) in self.samples("lob_request_seconds_count") {
            let label = sample.labels.get("label").cloned().unwrap_or_default();
            let quantile = |q: &str| {
                let labels = [("label", label.as_str()), ("quantile", q)];
                let value = self.value("lob_request_seconds", &labels);
                value.map_or("none".to_owned(), |v| Unit::Seconds.format(v))
            };
            let late = self.value("lob_request_sla_violations_total", &[("label", &label)]);
            let rate = self.rate(sample, family, before);
            let value = format!(
                "{} ({}), p50 {}, p95 {}, p99 {}, late {}",
                plain(sample.value),
                rate.map_or("no rate yet".to_owned(), |rate| format!("{rate:.1}/s")),
                quantile("0.5"),
                quantile("0.95"),
                quantile("0.99"),
                late.map_or("unknown".to_owned(), plain),
            );
            rows.push(Row { alarming: self.is_raised("sla"), ..Row::new(&label, value) });
        }
        (!rows.is_empty()).then(|| Section { title: "Requests".to_owned(), rows })
    }

    fn processes(&self, before: Option<&Self>) -> Vec<Section> {
        let section = |pid: String| {
            let mut rows = Vec::new();
            for (name, metric) in PROCESS {
                for (family, sample) in self.samples(metric) {
                    if sample.labels.get("pid") != Some(&pid) {
                        continue;
                    }
                    let value = if family.kind == "counter" {
                        let unit = match name {
                            "cores in use" => Unit::Dimensionless,
                            _ => Unit::BytesPerSecond,
                        };
                        self.rate(sample, family, before).map(|rate| unit.format(rate))
                    } else {
                        Some(in_unit(metric, sample.value))
                    };
                    rows.extend(value.map(|value| Row::new(name, value)));
                }
            }
            Section { title: format!("Process {pid}"), rows }
        };
        self.label_values("lob_watched_rss_bytes", "pid").into_iter().map(section).collect()
    }

    /// What another program's endpoint says.
    fn others(&self, before: Option<&Self>) -> Option<Section> {
        const MOST: usize = 200;
        let mut rows = Vec::new();
        for family in self.families.iter().filter(|family| !family.name.starts_with("lob_")) {
            for sample in &family.samples {
                let rate = self.rate(sample, family, before);
                let rate = rate.map_or(String::new(), |rate| format!(" ({rate:.3}/s)"));
                rows.push(Row::new(&series(sample), format!("{}{rate}", plain(sample.value))));
            }
        }
        let left_out = rows.len().saturating_sub(MOST);
        rows.truncate(MOST);
        if left_out > 0 {
            rows.push(Row::new("further series", left_out.to_string()));
        }
        (!rows.is_empty()).then(|| Section { title: "Other metrics".to_owned(), rows })
    }
}

impl Row {
    fn new(name: &str, value: String) -> Self {
        Self { name: name.to_owned(), value, alarming: false, share: None }
    }

    fn with_share(mut self, metric: &str, value: f64) -> Self {
        self.share = metric.ends_with("_ratio").then_some(value);
        self
    }

    /// Whether two of them fit on a line.
    fn fits_half(&self) -> bool {
        self.name.chars().count() <= 18 && self.value.chars().count() <= 18
    }

    fn text(&self, colours: bool) -> String {
        const BAR: usize = 8;
        let bar = self.share.map_or(String::new(), |share| {
            let filled = (0..BAR).take_while(|n| share * BAR as f64 > *n as f64 + 0.5).count();
            format!(" {}{}", "#".repeat(filled), ".".repeat(BAR - filled))
        });
        let (name, value) = (shown(&self.name).to_string(), shown(&self.value).to_string());
        let text = format!("  {name:<18} {value:>9}{bar}");
        let text = format!("{text:<38}");
        if self.alarming { styled(&text, "1;31", colours) } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE lob_cpu_busy_ratio gauge\nlob_cpu_busy_ratio 0.5\n\
        # TYPE lob_alert_active gauge\nlob_alert_active{alert=\"cpu\"} 1\n\
        # TYPE lob_request_seconds summary\n\
        lob_request_seconds{label=\"a\\n\",quantile=\"0.5\"} 0.01\nlob_request_seconds_count{label=\"a\\n\"} 10\n\
        # TYPE lob_watch gauge\nlob_watch{file=\"m\",field=\"loss\"} 2.5\n\
        # TYPE other_total counter\nother_total 4\n\
        lob_sensor_unavailable_info{sensor=\"energy\",reason=\"none here\"} 1\n";

    #[test]
    fn sections_hold_what_the_page_says() {
        let view = View::parse(PAGE).unwrap();
        let titles: Vec<String> = view.sections(None).into_iter().map(|s| s.title).collect();
        assert_eq!(titles, ["Alerts", "m", "Requests", "Machine", "Other metrics"]);
        let lines = view.lines(None, "here", false);
        let text = lines.join("\n");
        for part in ["50.0 % ####....", "loss", "p50 10.0 ms", "other_total", "unavailable: energy"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(lines.iter().all(|line| !line.contains(char::is_control)));
        assert!(view.lines(None, "here", true).join("").contains("\x1b[1;31m"));
    }

    #[test]
    fn a_loss_that_is_no_number_is_shown_as_such() {
        let page = "# TYPE lob_watch gauge\nlob_watch{file=\"m\",field=\"loss\"} NaN\n\
            lob_watch{file=\"m\",field=\"norm\"} +Inf\nlob_watch{file=\"m\",field=\"step\"} 9\n\
            # TYPE lob_watch_age_seconds gauge\nlob_watch_age_seconds{file=\"m\"} 172800\n";
        let view = View::parse(page).unwrap();
        let sections = view.sections(None);
        let rows: Vec<(&str, &str, bool)> =
            sections[0].rows.iter().map(|r| (&*r.name, &*r.value, r.alarming)).collect();
        assert_eq!(
            rows[..3],
            [("loss", "NaN", true), ("norm", "Infinity", true), ("step", "9", false)]
        );
        assert_eq!((rows[3].0, rows.len()), ("last written", 4));
        let document = view.to_json(None);
        assert_eq!(document["metrics"]["lob_watch{field=\"loss\",file=\"m\"}"], "NaN");
    }

    #[test]
    fn counters_become_rates_and_a_restart_none() {
        let (mut before, mut view) = (View::parse(PAGE).unwrap(), View::parse(PAGE).unwrap());
        view.at = before.at + std::time::Duration::from_secs(2);
        let other = view.families.iter_mut().find(|f| f.name == "other_total").unwrap();
        other.samples[0].value = 10.0;
        assert_eq!(view.to_json(Some(&before))["rates_per_s"]["other_total"], 3.0);
        let other = before.families.iter_mut().find(|f| f.name == "other_total").unwrap();
        other.samples[0].value = 100.0;
        let document = view.to_json(Some(&before));
        assert!(document["rates_per_s"].get("other_total").is_none());
        assert_eq!(document["unavailable"]["energy"], "none here");
        assert_eq!(document["metrics"]["lob_watch{field=\"loss\",file=\"m\"}"], 2.5);
    }
}
