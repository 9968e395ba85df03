//! A page of metrics, arranged for people.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use lob_metrics::Unit;
use lob_watch::{PrometheusFamily, PrometheusSample, parse_prometheus_text};
use serde_json::{Map, Value, json};

use super::text::{ago, in_unit, number, plain, rate_unit, series};

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
    /// The value as a number, to be sorted by and drawn over time.
    pub(crate) number: Option<f64>,
    /// Whether the number is a share of a whole, drawn as a bar.
    pub(crate) is_share: bool,
}

/// Machine figures in the order they are shown, with the alert that watches them. Counters of bytes
/// and of events are shown per second.
const MACHINE: [(&str, &str, &str); 21] = [
    ("cpu busy", "lob_cpu_busy_ratio", "cpu"),
    ("memory used", "lob_memory_used_ratio", "memory"),
    ("waiting for cpu", "lob_pressure_cpu_ratio", ""),
    ("waiting for disk", "lob_pressure_io_ratio", "disk_io"),
    ("waiting for memory", "lob_pressure_memory_ratio", ""),
    ("idle for disk", "lob_cpu_iowait_ratio", ""),
    ("stolen", "lob_cpu_steal_ratio", ""),
    ("load 1 min", "lob_load1", ""),
    ("memory", "lob_memory_used_bytes", ""),
    ("of", "lob_memory_total_bytes", ""),
    ("disk read", "lob_disk_read_bytes_total", ""),
    ("disk written", "lob_disk_written_bytes_total", ""),
    ("net received", "lob_network_received_bytes_total", ""),
    ("net sent", "lob_network_sent_bytes_total", ""),
    ("switches per s", "lob_context_switches_total", ""),
    ("temperature", "lob_cpu_temperature_celsius", ""),
    ("frequency", "lob_cpu_frequency_hertz", ""),
    ("power", "lob_cpu_power_watts", ""),
    ("energy", "lob_energy_joules_total", ""),
    ("CO2 (estimate, g)", "lob_co2_grams_total", ""),
    ("own memory", "process_resident_memory_bytes", ""),
];

/// Figures of a GPU.
const GPU: [(&str, &str, &str); 9] = [
    ("utilisation", "lob_gpu_utilisation_ratio", "gpu_utilisation"),
    ("memory used", "lob_gpu_memory_used_ratio", "gpu_memory"),
    ("memory", "lob_gpu_memory_used_bytes", ""),
    ("processes", "lob_gpu_processes", ""),
    ("own memory", "lob_gpu_process_memory_bytes", ""),
    ("power", "lob_gpu_power_watts", ""),
    ("temperature", "lob_gpu_temperature_celsius", ""),
    ("clock", "lob_gpu_sm_clock_hertz", ""),
    ("memory clock", "lob_gpu_memory_clock_hertz", ""),
];

/// The row of a process whose trend is told.
pub(crate) const PROCESS_MEMORY: &str = "memory";
/// Figures of a process: gauges, then counters shown per second.
const PROCESS: [(&str, &str); 6] = [
    (PROCESS_MEMORY, "lob_watched_resident_memory_bytes"),
    ("threads", "lob_watched_threads"),
    ("open files", "lob_watched_open_fds"),
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
        sections.push(self.table("Machine", &MACHINE, &[], before));
        for gpu in self.label_values("lob_gpu_utilisation_ratio", "gpu") {
            sections.push(self.table(&format!("GPU {gpu}"), &GPU, &[("gpu", &gpu)], before));
        }
        sections.extend(self.others(before));
        sections.retain(|section| !section.rows.is_empty());
        sections
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

    fn table(
        &self,
        title: &str,
        table: &[(&str, &str, &str)],
        labels: &[(&str, &str)],
        before: Option<&Self>,
    ) -> Section {
        let row = |(name, metric, alert): &(&str, &str, &str)| {
            let row = match rate_unit(metric) {
                Some(unit) => {
                    let (family, sample) = self.samples(metric).next()?;
                    let rate = self.rate(sample, family, before)?;
                    Row::new(name, unit.format(rate)).with_number(rate)
                }
                None => {
                    let value = self.value(metric, labels)?;
                    let is_share = metric.ends_with("_ratio");
                    let row = Row::new(name, in_unit(metric, value)).with_number(value);
                    Row { is_share, ..row }
                }
            };
            Some(Row { alarming: self.is_raised(alert), ..row })
        };
        Section { title: title.to_owned(), rows: table.iter().filter_map(row).collect() }
    }

    /// Alerts that are on, and those that were.
    fn alerts(&self) -> Section {
        let row = |(_, sample): (_, &PrometheusSample)| {
            let name = sample.labels.get("alert").cloned().unwrap_or_default();
            let is_on = sample.value > 0.0;
            let raised = self.value("lob_alert_raised_total", &[("alert", &name)]).unwrap_or(0.0);
            let times = if raised > 1.5 { format!("{raised:.0} times") } else { "once".to_owned() };
            let state = if is_on { "ON now" } else { "off now" };
            let row =
                Row { alarming: is_on, ..Row::new(&name, format!("{state}, raised {times}")) };
            (is_on || raised > 0.0).then_some(row)
        };
        let rows = self.samples("lob_alert_active").filter_map(row);
        Section { title: "Alerts".to_owned(), rows: rows.collect() }
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
                let row = Row::new(&name, number(sample.value)).with_number(sample.value);
                Row { alarming, ..row }
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
            let row = Row::new(&label, value).with_number(rate.unwrap_or(sample.value));
            rows.push(Row { alarming: self.is_raised("sla"), ..row });
        }
        (!rows.is_empty()).then(|| Section { title: "Requests".to_owned(), rows })
    }

    fn processes(&self, before: Option<&Self>) -> Vec<Section> {
        let section = |pid: String| {
            let mut rows = Vec::new();
            let labels = [("pid", pid.as_str())];
            if self.value("lob_watched_up", &labels).is_some_and(|up| up < 1.0) {
                let why = self.samples("lob_watched_unavailable_info").find_map(|(_, sample)| {
                    sample.labels.get("reason").filter(|_| sample.labels.get("pid") == Some(&pid))
                });
                let why = why.map_or("it has ended", String::as_str);
                rows.push(Row { alarming: true, ..Row::new("not running", why.to_owned()) });
            }
            for (name, metric) in PROCESS {
                let of_pid =
                    |(_, sample): &(_, &PrometheusSample)| sample.labels.get("pid") == Some(&pid);
                let Some((family, sample)) = self.samples(metric).find(of_pid) else { continue };
                rows.extend(match rate_unit(metric) {
                    Some(unit) => self
                        .rate(sample, family, before)
                        .map(|rate| Row::new(name, unit.format(rate)).with_number(rate)),
                    None => {
                        let value = sample.value;
                        Some(Row::new(name, in_unit(metric, value)).with_number(value))
                    }
                });
            }
            Section { title: format!("Process {pid}"), rows }
        };
        self.label_values("lob_watched_up", "pid").into_iter().map(section).collect()
    }

    /// What another program's endpoint says.
    fn others(&self, before: Option<&Self>) -> Option<Section> {
        const MOST: usize = 200;
        let mut rows = Vec::new();
        // Our own server's process is under "Machine".
        let ours = self.families.iter().any(|family| family.name == "lob_build_info");
        let is_known =
            |name: &str| name.starts_with("lob_") || (ours && name.starts_with("process_"));
        for family in self.families.iter().filter(|family| !is_known(&family.name)) {
            for sample in &family.samples {
                let rate = self.rate(sample, family, before);
                let rate = rate.map_or(String::new(), |rate| format!(" ({rate:.3}/s)"));
                let row = Row::new(&series(sample), format!("{}{rate}", plain(sample.value)));
                rows.push(row.with_number(sample.value));
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
    pub(super) fn new(name: &str, value: String) -> Self {
        let (alarming, number, is_share) = (false, None, false);
        Self { name: name.to_owned(), value, alarming, number, is_share }
    }

    fn with_number(self, number: f64) -> Self {
        Self { number: number.is_finite().then_some(number), ..self }
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
        let alerts = &view.sections(None)[0].rows;
        assert_eq!((&*alerts[0].value, alerts[0].alarming), ("ON now, raised once", true));
        let off = PAGE.replace("{alert=\"cpu\"} 1", "{alert=\"cpu\"} 0")
            + "# TYPE lob_alert_raised_total counter\nlob_alert_raised_total{alert=\"cpu\"} 3\n";
        let alerts = &View::parse(&off).unwrap().sections(None)[0].rows;
        assert_eq!((&*alerts[0].value, alerts[0].alarming), ("off now, raised 3 times", false));
    }

    #[test]
    fn a_process_that_has_ended_says_so() {
        let page = "# TYPE lob_watched_up gauge\nlob_watched_up{pid=\"7\"} 0\n\
            lob_watched_unavailable_info{pid=\"7\",reason=\"no such file\"} 1\n";
        let sections = View::parse(page).unwrap().sections(None);
        let row = &sections[0].rows[0];
        assert_eq!(
            (&*sections[0].title, &*row.value, row.alarming),
            ("Process 7", "no such file", true)
        );
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
