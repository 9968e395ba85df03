use crate::SignalError;

/// When to take and leave a position.
///
/// Thresholds are of the probability around the base rate: with `p` the probability of a rise given
/// a move and `b` its share in training, the gate looks at the `q` of
/// `ln(q / (1 - q)) = ln(p / (1 - p)) - ln(b / (1 - b))`, which is `p (1 - b) / (p (1 - b) + (1 - p) b)`.
/// A model that has learned nothing but the base rate is at `q = 1/2`, whatever the rate, and stays
/// flat.
///
/// The gap between entry and exit is the hysteresis: a probability that hovers near a threshold
/// does not turn the position over at every quote.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GateConfig {
    /// Probability of a rise from which to go long, and one minus it to go short; above `exit`.
    pub enter: f32,
    /// Probability below which a long is left, and one minus it for a short; `0.5..=1`.
    pub exit: f32,
    /// No new long at or above this RSI (over 100), no new short at or below one minus it.
    pub rsi_limit: f32,
    /// Largest position, in units, either way; at least 1.
    pub max_position: u16,
    /// Most units traded at one quote; at least 1.
    pub max_step: u16,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self { enter: 0.6, exit: 0.5, rsi_limit: 0.8, max_position: 1, max_step: 1 }
    }
}

/// Which way the gate leans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stance {
    /// No position wanted.
    #[default]
    Flat,
    /// A rise is expected.
    Long,
    /// A fall is expected.
    Short,
}

/// The answer to one quote.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signal {
    /// Probability of a rise; NaN when a feature is null, and then nothing changes.
    pub probability: f32,
    /// Which way the gate leans.
    pub stance: Stance,
    /// Units to trade now: above 0 buys, below 0 sells.
    pub trade: i32,
    /// Position after the trade, in units.
    pub position: i32,
}

/// Probabilities to positions, with hysteresis and limits.
#[derive(Debug, Clone)]
pub struct SignalGate {
    config: GateConfig,
    /// Share of rises among the moves that the model was fitted to; none for a half, which leaves
    /// probabilities as they are.
    base_rate: Option<f32>,
    stance: Stance,
    position: i32,
}

impl SignalGate {
    /// A flat gate.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] for settings out of range.
    pub fn new(config: GateConfig) -> Result<Self, SignalError> {
        let GateConfig { enter, exit, rsi_limit, max_position, max_step } = config;
        if !(0.5..=1.0).contains(&exit) {
            return Err(SignalError::parameter("exit", "a probability in 0.5..=1", exit));
        }
        if !(enter > exit && enter <= 1.0) {
            return Err(SignalError::parameter("enter", "above `exit` and at most 1", enter));
        }
        if !(0.5..=1.0).contains(&rsi_limit) {
            return Err(SignalError::parameter("rsi_limit", "a value in 0.5..=1", rsi_limit));
        }
        if max_position == 0 || max_step == 0 {
            let found = format!("{max_position} and {max_step}");
            return Err(SignalError::parameter("max_position, max_step", "at least 1", found));
        }
        Ok(Self { config, base_rate: None, stance: Stance::Flat, position: 0 })
    }

    /// Goes flat and forgets.
    pub fn reset(&mut self) {
        self.stance = Stance::Flat;
        self.position = 0;
    }

    /// The signal for one row of features (RSI first) and its probability of a rise.
    pub fn update(&mut self, features: &[f32], probability: f32) -> Signal {
        if !probability.is_nan() {
            let rsi = features.first().copied().unwrap_or(0.5);
            self.stance = self.next_stance(self.around_base(probability), rsi);
        }
        let limit = i32::from(self.config.max_position);
        let target = match self.stance {
            Stance::Flat => 0,
            Stance::Long => limit,
            Stance::Short => -limit,
        };
        let step = i32::from(self.config.max_step);
        let trade =
            if probability.is_nan() { 0 } else { (target - self.position).clamp(-step, step) };
        self.position += trade;
        Signal { probability, stance: self.stance, trade, position: self.position }
    }

    /// Thresholds are around this share of rises from now on; a half by default, which leaves
    /// probabilities as they are.
    ///
    /// # Errors
    /// [`SignalError::Parameter`] unless it lies between 0 and 1.
    pub fn set_base_rate(&mut self, base_rate: f32) -> Result<(), SignalError> {
        if !(base_rate > 0.0 && base_rate < 1.0) {
            return Err(SignalError::parameter("base_rate", "between 0 and 1", base_rate));
        }
        self.base_rate = Some(base_rate);
        Ok(())
    }

    /// The probability around the base rate.
    fn around_base(&self, p: f32) -> f32 {
        match self.base_rate {
            Some(b) => p * (1.0 - b) / (p * (1.0 - b) + (1.0 - p) * b),
            None => p,
        }
    }

    fn next_stance(&self, p: f32, rsi: f32) -> Stance {
        let GateConfig { enter, exit, rsi_limit, .. } = self.config;
        let held = match self.stance {
            Stance::Long if p >= exit => Stance::Long,
            Stance::Short if p <= 1.0 - exit => Stance::Short,
            _ => Stance::Flat,
        };
        match held {
            Stance::Flat if p >= enter && rsi < rsi_limit => Stance::Long,
            Stance::Flat if p <= 1.0 - enter && rsi > 1.0 - rsi_limit => Stance::Short,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Positions after each `(probability, rsi)`.
    fn check(config: GateConfig, steps: &[(f32, f32)], expected: &[i32]) {
        let mut gate = SignalGate::new(config).unwrap();
        let signals: Vec<Signal> = steps.iter().map(|&(p, rsi)| gate.update(&[rsi], p)).collect();
        assert_eq!(signals.iter().map(|s| s.position).collect::<Vec<_>>(), expected);
        let mut position = 0;
        for s in signals {
            position += s.trade;
            assert_eq!(position, s.position);
        }
    }

    #[test]
    fn hysteresis_keeps_a_position_between_the_thresholds() {
        let c = GateConfig::default();
        check(c, &[(0.55, 0.5), (0.6, 0.5), (0.55, 0.5), (0.49, 0.5)], &[0, 1, 1, 0]);
        check(c, &[(0.45, 0.5), (0.39, 0.5), (0.45, 0.5), (0.51, 0.5)], &[0, -1, -1, 0]);
        check(c, &[(0.9, 0.5), (0.1, 0.5), (0.1, 0.5)], &[1, 0, -1]);
    }

    #[test]
    fn rule_and_limits_hold() {
        let c = GateConfig::default();
        check(c, &[(0.9, 0.8), (0.9, 0.79), (0.9, 0.99)], &[0, 1, 1]);
        check(c, &[(0.1, 0.19), (0.1, 0.21)], &[0, -1]);
        let c = GateConfig { max_position: 5, max_step: 2, ..c };
        check(c, &[(0.9, 0.5); 4], &[2, 4, 5, 5]);
    }

    /// Whatever the share of rises: what says no more than it is no signal, and odds of 3 to 2
    /// against it are one, either way.
    #[test]
    fn thresholds_are_around_the_base_rate() {
        for base in [0.02_f32, 0.3, 0.5, 0.9] {
            let odds = |times: f32| {
                let odds = base / (1.0 - base) * times;
                odds / (1.0 + odds)
            };
            let stance = |p: f32| {
                let mut gate = SignalGate::new(GateConfig::default()).unwrap();
                gate.set_base_rate(base).unwrap();
                gate.update(&[0.5], p).stance
            };
            assert_eq!(stance(base), Stance::Flat);
            for (times, expected) in [(1.4, Stance::Flat), (1.6, Stance::Long)] {
                assert_eq!(stance(odds(times)), expected, "{base} {times}");
            }
            for (times, expected) in [(1.4, Stance::Flat), (1.6, Stance::Short)] {
                assert_eq!(stance(odds(1.0 / times)), expected, "{base} 1/{times}");
            }
            assert_eq!((stance(0.0), stance(1.0)), (Stance::Short, Stance::Long));
        }
        let mut gate = SignalGate::new(GateConfig::default()).unwrap();
        for odd in [0.0, 1.0, f32::NAN, -0.5] {
            assert!(gate.set_base_rate(odd).unwrap_err().to_string().contains("base_rate"));
        }
    }

    #[test]
    fn a_null_changes_nothing() {
        let c = GateConfig { max_position: 3, ..GateConfig::default() };
        check(c, &[(f32::NAN, 0.5), (0.9, 0.5), (f32::NAN, f32::NAN), (0.9, 0.5)], &[0, 1, 1, 2]);
    }

    #[test]
    fn bad_settings_are_refused_by_name() {
        let message = |c| SignalGate::new(c).unwrap_err().to_string();
        let c = GateConfig::default();
        assert!(message(GateConfig { enter: 0.5, ..c }).starts_with("`enter` is 0.5"));
        assert!(message(GateConfig { exit: 0.2, ..c }).starts_with("`exit`"));
        assert!(message(GateConfig { rsi_limit: f32::NAN, ..c }).starts_with("`rsi_limit`"));
        assert!(message(GateConfig { max_step: 0, ..c }).starts_with("`max_position, max_step`"));
    }
}
