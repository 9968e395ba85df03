use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ContrastiveError, Rng};

/// How much structure a generated signal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// White noise: two windows share nothing, so an honest loss stays at its value by chance.
    Simple,
    /// A sine of the signal's own frequency and amplitude in noise.
    Medium,
    /// Three sines, a trend and noise whose strength the signal has of its own.
    Complex,
    /// Signals of the three kinds above in turn; the kind is the class.
    Mixed,
}

impl SignalKind {
    /// Every kind with its name on the command line.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("simple", Self::Simple),
        ("medium", Self::Medium),
        ("complex", Self::Complex),
        ("mixed", Self::Mixed),
    ];
}

impl FromStr for SignalKind {
    type Err = ContrastiveError;

    fn from_str(name: &str) -> Result<Self, ContrastiveError> {
        let found = Self::NAMES.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, kind)| kind).ok_or_else(|| {
            let expected = "`simple`, `medium`, `complex` or `mixed`";
            ContrastiveError::config("signal", expected, format_args!("`{name}`"))
        })
    }
}

impl std::fmt::Display for SignalKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(Self::NAMES.into_iter().find(|(_, known)| known == self).map_or("?", |n| n.0))
    }
}

/// How many signals to generate, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalSpec {
    /// What they are made of.
    pub kind: SignalKind,
    /// Signals; each is a segment of its own.
    pub n_signals: usize,
    /// Rows of a signal.
    pub n_rows: usize,
    /// Values of a row; each channel has its own phases and noise.
    pub n_channels: usize,
    /// Seed of everything.
    pub seed: u64,
}

/// Generated signals, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Signals {
    /// Rows x channels.
    pub values: Vec<f32>,
    /// Number of the signal of each row.
    pub segments: Vec<u32>,
    /// Class of each signal: its kind for mixed signals (0 simple, 1 medium, 2 complex), the third
    /// its main frequency lies in for medium and complex ones, 0 for white noise.
    pub classes: Vec<u32>,
}

/// Main frequencies, in cycles a row: from one cycle in 200 rows to one in 10.
const FREQUENCIES: (f64, f64) = (0.005, 0.1);

/// Generates signals.
///
/// # Errors
/// [`ContrastiveError::Config`] for a count of 0 or more than 2^32 signals.
///
/// ```
/// use lob_contrastive::{SignalKind, SignalSpec, generate_signals};
/// let spec =
///     SignalSpec { kind: SignalKind::Medium, n_signals: 5, n_rows: 64, n_channels: 2, seed: 1 };
/// let signals = generate_signals(&spec).unwrap();
/// assert_eq!((signals.values.len(), signals.segments[64]), (5 * 64 * 2, 1));
/// assert_eq!(signals, generate_signals(&spec).unwrap());
/// ```
pub fn generate_signals(spec: &SignalSpec) -> Result<Signals, ContrastiveError> {
    let SignalSpec { kind, n_signals, n_rows, n_channels, seed } = *spec;
    if n_signals == 0 || n_rows == 0 || n_channels == 0 {
        let found = format!("{n_signals}, {n_rows}, {n_channels}");
        return Err(ContrastiveError::config("signals, rows, channels", "above 0", found));
    }
    let n = u32::try_from(n_signals)
        .map_err(|_| ContrastiveError::config("signals", "at most 4294967295", n_signals))?;
    let mut out = Signals {
        values: Vec::with_capacity(n_signals * n_rows * n_channels),
        segments: Vec::with_capacity(n_signals * n_rows),
        classes: Vec::with_capacity(n_signals),
    };
    for signal in 0..n {
        let mut rng = Rng::at(seed, 0, signal as usize, 0);
        let own = match (kind, signal % 3) {
            (SignalKind::Mixed, 0) => SignalKind::Simple,
            (SignalKind::Mixed, 1) => SignalKind::Medium,
            (SignalKind::Mixed, _) => SignalKind::Complex,
            (kind, _) => kind,
        };
        let class = push_signal(own, n_rows, n_channels, &mut rng, &mut out.values);
        out.classes.push(if kind == SignalKind::Mixed { signal % 3 } else { class });
        out.segments.extend(std::iter::repeat_n(signal, n_rows));
    }
    Ok(out)
}

/// One sine of every channel: cycles a row, amplitude, and a phase for each channel.
struct Sine {
    frequency: f64,
    amplitude: f64,
    phases: Vec<f64>,
}

impl Sine {
    fn new(frequency: f64, amplitude: f64, n_channels: usize, rng: &mut Rng) -> Self {
        let phases = (0..n_channels).map(|_| f64::from(rng.unit_f32())).collect();
        Self { frequency, amplitude, phases }
    }

    fn at(&self, row: f64, channel: usize) -> f64 {
        let turns = self.frequency * row + self.phases[channel];
        self.amplitude * (std::f64::consts::TAU * turns).sin()
    }
}

/// Appends a signal and gives the third that its main frequency lies in.
#[expect(clippy::cast_possible_truncation, reason = "signals are single precision")]
#[expect(clippy::cast_precision_loss, reason = "a signal is far shorter than 2^52 rows")]
fn push_signal(
    kind: SignalKind,
    n_rows: usize,
    n_channels: usize,
    rng: &mut Rng,
    out: &mut Vec<f32>,
) -> u32 {
    let unit = |rng: &mut Rng| f64::from(rng.unit_f32());
    let place = unit(rng);
    let (low, high) = FREQUENCIES;
    let frequency = low * (high / low).powf(place);
    let class = if place < 1.0 / 3.0 { 0 } else { u32::from(place >= 2.0 / 3.0) + 1 };
    let (sines, trend, noise) = match kind {
        SignalKind::Simple | SignalKind::Mixed => (Vec::new(), 0.0, 1.0),
        SignalKind::Medium => {
            let amplitude = 0.5 + unit(rng);
            (vec![Sine::new(frequency, amplitude, n_channels, rng)], 0.0, 0.1)
        }
        SignalKind::Complex => {
            let sines = [(1.0, 1.0), (2.7, 0.6), (6.1, 0.3)].map(|(multiple, strength)| {
                let amplitude = strength * (0.5 + unit(rng));
                Sine::new((frequency * multiple).min(0.45), amplitude, n_channels, rng)
            });
            (sines.into(), unit(rng) - 0.5, 0.1 + 0.3 * unit(rng))
        }
    };
    for row in 0..n_rows {
        let row = row as f64;
        for channel in 0..n_channels {
            let waves: f64 = sines.iter().map(|sine| sine.at(row, channel)).sum();
            let drift = trend * (2.0 * row / n_rows as f64 - 1.0);
            let value = waves + drift + noise * f64::from(rng.normal_f32());
            out.push(value as f32);
        }
    }
    if kind == SignalKind::Simple { 0 } else { class }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: SignalKind) -> SignalSpec {
        SignalSpec { kind, n_signals: 60, n_rows: 400, n_channels: 2, seed: 3 }
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn autocorrelation(signal: &[f32], lag: usize) -> f64 {
        let x: Vec<f64> = signal.iter().step_by(2).map(|&x| f64::from(x)).collect();
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let at = |i: usize| x[i] - mean;
        let of = |lag: usize| (0..x.len() - lag).map(|i| at(i) * at(i + lag)).sum::<f64>();
        of(lag) / of(0)
    }

    #[test]
    fn kinds_differ_in_structure_and_seeds_repeat() {
        let means = |kind| {
            let signals = generate_signals(&spec(kind)).unwrap();
            assert_eq!(signals, generate_signals(&spec(kind)).unwrap());
            let other = SignalSpec { seed: 4, ..spec(kind) };
            assert_ne!(signals.values, generate_signals(&other).unwrap().values);
            let all = signals.values.chunks(800).map(|s| autocorrelation(s, 1).abs());
            all.sum::<f64>() / 60.0
        };
        assert!(means(SignalKind::Simple) < 0.08);
        assert!(means(SignalKind::Medium) > 0.7);
        assert!(means(SignalKind::Complex) > 0.5);
    }

    #[test]
    fn every_class_occurs_and_noise_has_one() {
        let counts = |kind| {
            let signals = generate_signals(&spec(kind)).unwrap();
            [0, 1, 2].map(|class| signals.classes.iter().filter(|&&c| c == class).count())
        };
        assert_eq!(counts(SignalKind::Mixed), [20; 3]);
        assert_eq!(counts(SignalKind::Simple), [60, 0, 0]);
        assert!(counts(SignalKind::Medium).iter().all(|&n| n > 8));
        assert!(counts(SignalKind::Complex).iter().all(|&n| n > 8));
    }

    #[test]
    fn nothing_to_generate_is_an_error() {
        let none = SignalSpec { n_rows: 0, ..spec(SignalKind::Simple) };
        assert!(generate_signals(&none).is_err());
        assert!("huge".parse::<SignalKind>().is_err());
        for (name, kind) in SignalKind::NAMES {
            assert_eq!(name.parse::<SignalKind>().unwrap(), kind);
            assert_eq!(kind.to_string(), name);
        }
    }
}
