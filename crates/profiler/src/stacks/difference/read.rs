//! Profiles from files: what `lob profile` has left behind.

use serde::Deserialize;
use thiserror::Error;

use super::{FrameKind, StackFrame, StackTimes};

/// What is wrong with the text of a profile.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No JSON, or none of this format.
    #[error("it is no profile of speedscope's format: {0}")]
    Json(#[from] serde_json::Error),
    /// A sample names a frame that is not there.
    #[error("it has {found} frames, and a sample names frame {index}: the file is damaged")]
    Frame {
        /// The index.
        index: usize,
        /// Frames there are.
        found: usize,
    },
    /// Samples and weights do not fit.
    #[error("it has {samples} samples and {weights} weights: the file is damaged")]
    Weights {
        /// Samples there are.
        samples: usize,
        /// Weights there are.
        weights: usize,
    },
    /// A weight that is no time.
    #[error("a weight is {0}, which is no time")]
    Weight(f64),
    /// No profile inside.
    #[error("it holds no profile of samples with CPU seconds: was it written by `lob profile`?")]
    Empty,
    /// A line of folded stacks that has no number.
    #[error("line {line} does not end with a number of samples: `NAME;NAME COUNT` is expected")]
    Folded {
        /// From 1.
        line: usize,
    },
}

#[derive(Deserialize)]
struct Document {
    shared: Shared,
    profiles: Vec<Profile>,
    lob: Option<Ours>,
}

#[derive(Deserialize)]
struct Shared {
    frames: Vec<NamedFrame>,
}

#[derive(Deserialize)]
struct NamedFrame {
    name: String,
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    kind: FrameKind,
}

#[derive(Deserialize)]
struct Profile {
    #[serde(rename = "type")]
    form: String,
    unit: String,
    #[serde(default)]
    samples: Vec<Vec<usize>>,
    #[serde(default)]
    weights: Vec<f64>,
}

#[derive(Deserialize)]
struct Ours {
    interval_s: f64,
    cpu_time_s: Option<f64>,
}

impl StackTimes {
    /// Of a document that [`crate::LineProfile::speedscope_json`] has written.
    ///
    /// # Errors
    /// Where the text is none, or damaged.
    pub fn from_speedscope(text: &str) -> Result<Self, ReadError> {
        let document: Document = serde_json::from_str(text)?;
        let is_whole = |p: &&Profile| p.form == "sampled" && p.unit == "seconds";
        let profile = document.profiles.iter().find(is_whole).ok_or(ReadError::Empty)?;
        let (samples, weights) = (profile.samples.len(), profile.weights.len());
        if samples != weights {
            return Err(ReadError::Weights { samples, weights });
        }
        let frames = document.shared.frames;
        let mut times = Self { launches: 1, ..Self::default() };
        if let Some(ours) = document.lob {
            times.interval_s = ours.interval_s;
            times.cpu_time_s = ours.cpu_time_s;
        }
        for (stack, weight) in profile.samples.iter().zip(&profile.weights) {
            if !weight.is_finite() || *weight < 0.0 {
                return Err(ReadError::Weight(*weight));
            }
            let frame = |index: &usize| {
                let frame = frames.get(*index);
                let frame = frame.ok_or(ReadError::Frame { index: *index, found: frames.len() })?;
                Ok(StackFrame {
                    name: frame.name.clone(),
                    module: frame.file.clone().unwrap_or_default(),
                    kind: frame.kind,
                })
            };
            let stack = stack.iter().map(frame).collect::<Result<Vec<_>, ReadError>>()?;
            times.add(stack, *weight);
        }
        Ok(times)
    }

    /// Of folded stacks, a sample being so many CPU seconds. Names of the kernel begin with
    /// `[kernel]` or end with `_[k]`; everything else counts as the program's own.
    ///
    /// # Errors
    /// At the first line of another form.
    pub fn from_folded(text: &str, interval_s: f64) -> Result<Self, ReadError> {
        let mut times = Self { launches: 1, interval_s, ..Self::default() };
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let bad = ReadError::Folded { line: at + 1 };
            let Some((names, count)) = line.trim_end().rsplit_once(' ') else { return Err(bad) };
            let Ok(count) = count.parse::<u64>() else { return Err(bad) };
            let frame = |name: &str| StackFrame {
                name: name.to_owned(),
                module: String::new(),
                kind: match name {
                    _ if name.starts_with("[kernel]") || name.ends_with("_[k]") => {
                        FrameKind::Kernel
                    }
                    _ if name.starts_with('[') => FrameKind::Other,
                    _ => FrameKind::Own,
                },
            };
            *times.stacks.entry(names.split(';').map(frame).collect()).or_default() +=
                count as f64 * interval_s;
        }
        Ok(times)
    }
}
