//! The file format of speedscope (`www.speedscope.app`), which its viewer and others open.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{LineProfile, StackFrame};

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

impl LineProfile {
    /// The samples as one JSON document: a profile of all threads, exact, then one of each thread
    /// in the order of time, where that was kept. Weights are CPU seconds.
    ///
    /// Beside what the format asks for, frames carry `kind`, whose code it is
    /// ([`super::FrameKind`]), and the document carries under `lob` the seconds a sample stands for
    /// and the CPU time they are of.
    #[must_use]
    pub fn speedscope_json(&self, name: &str) -> String {
        let mut frames = Frames::default();
        let stacks: Vec<Value> = self
            .stacks
            .iter()
            .map(|stack| stack.frames.iter().map(|frame| frames.index(frame)).collect())
            .collect();
        let seconds = |samples: u64| samples as f64 * self.interval_s;
        let weights: Vec<f64> = self.stacks.iter().map(|stack| seconds(stack.samples)).collect();
        let mut profiles = vec![profile("all threads", &stacks, &weights)];
        let mut by_thread: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
        for sample in &self.timed {
            let stack = stacks.get(sample.stack).cloned().unwrap_or_default();
            by_thread.entry(sample.thread).or_default().push(stack);
        }
        for (thread, samples) in by_thread {
            let Some(thread) = self.threads.get(thread) else { continue };
            let name = format!("{} {} ({})", thread.process, thread.name, thread.tid);
            let weights = vec![seconds(self.timed_weight); samples.len()];
            profiles.push(profile(&name, &samples, &weights));
        }
        let document = json!({
            "$schema": SCHEMA,
            "name": name,
            "activeProfileIndex": 0,
            "exporter": "lob",
            "shared": { "frames": frames.list },
            "profiles": profiles,
            "lob": { "interval_s": self.interval_s, "cpu_time_s": self.cpu_time_s },
        });
        format!("{document}\n")
    }
}

fn profile(name: &str, samples: &[Value], weights: &[f64]) -> Value {
    json!({
        "type": "sampled",
        "name": name,
        "unit": "seconds",
        "startValue": 0.0,
        "endValue": weights.iter().sum::<f64>(),
        "samples": samples,
        "weights": weights,
    })
}

/// Frames, each once.
#[derive(Default)]
struct Frames {
    known: BTreeMap<StackFrame, usize>,
    list: Vec<Value>,
}

impl Frames {
    fn index(&mut self, frame: &StackFrame) -> Value {
        let next = self.list.len();
        let index = *self.known.entry(frame.clone()).or_insert(next);
        if index == next {
            self.list.push(json!({
                "name": frame.name, "file": frame.module, "kind": frame.kind
            }));
        }
        Value::from(index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Frame;
    use super::super::{FrameKind, SampledThread, TimedSample};
    use super::*;

    #[test]
    fn the_document_has_what_the_format_asks_for() {
        let own = |name: &str| Frame { kind: FrameKind::Own, ..Frame::mark(name) };
        let stacks = [(vec![own("inner"), own("main")], false, 3), (vec![own("main")], false, 1)];
        let (mut profile, index) = LineProfile::indexed(stacks.into_iter());
        profile.interval_s = 0.002;
        profile.threads = vec![SampledThread {
            pid: 5,
            tid: 6,
            name: "worker \"1\"".to_owned(),
            process: "app".to_owned(),
        }];
        let sample = |stack: usize| TimedSample { t_s: 0.1, thread: 0, stack: index[stack] };
        profile.timed = vec![sample(0), sample(1), sample(0), sample(0)];
        let document: Value = serde_json::from_str(&profile.speedscope_json("a run")).unwrap();

        // Written apart from the writer, after the published schema.
        assert_eq!(document["$schema"], SCHEMA);
        let frames = document["shared"]["frames"].as_array().unwrap();
        assert!(frames.iter().all(|f| f["name"].is_string() && f["file"].is_string()));
        let profiles = document["profiles"].as_array().unwrap();
        assert_eq!(profiles.len(), 2);
        for profile in profiles {
            assert_eq!(
                (&profile["type"], &profile["unit"]),
                (&"sampled".into(), &"seconds".into())
            );
            let list = |key: &str| profile[key].as_array().unwrap();
            assert_eq!(list("samples").len(), list("weights").len());
            let sum: f64 = list("weights").iter().map(|w| w.as_f64().unwrap()).sum();
            assert!((profile["endValue"].as_f64().unwrap() - sum).abs() < 1e-12);
            assert!((sum - 0.008).abs() < 1e-12, "every sample in each");
            let indices = list("samples").iter().flat_map(|s| s.as_array().unwrap());
            assert!(indices.into_iter().all(|i| i.as_u64().unwrap() < frames.len() as u64));
        }
        let inner: Vec<&str> = profiles[1]["samples"][0]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| {
                frames[usize::try_from(i.as_u64().unwrap()).unwrap()]["name"].as_str().unwrap()
            })
            .collect();
        assert_eq!(inner, ["main", "inner"], "outermost first");
        assert_eq!(profiles[1]["name"], "app worker \"1\" (6)");
        assert_eq!(frames[0]["kind"], "own");
    }
}
