//! Alerts with hysteresis: they ring late enough to matter and do not flap.

use std::time::Duration;

/// Which side of its threshold a value must not be on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertSide {
    /// Too much is bad: a CPU share, a latency.
    Above,
    /// Too little is bad: the utilisation of a GPU.
    Below,
}

/// When an alert is raised and when it is over.
///
/// Between the two thresholds nothing changes, so a value that hovers around one of them changes
/// the state once at most.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRule {
    /// Short name, such as `cpu`.
    pub name: &'static str,
    /// The bad side.
    pub side: AlertSide,
    /// Beyond this the value is bad, in the value's unit.
    pub raise_at: f64,
    /// Back on the good side of this, or on it, the value is good again.
    pub clear_at: f64,
    /// How long a value must stay bad; zero raises at the first bad value.
    pub raise_after: Duration,
    /// How long a value must stay good.
    pub clear_after: Duration,
    /// What to do about it.
    pub advice: &'static str,
}

impl AlertRule {
    /// Raised above `raise_at` and over at or below `clear_at`, each at once. A `clear_at` above
    /// `raise_at` is taken as `raise_at`.
    #[must_use]
    pub fn above(name: &'static str, raise_at: f64, clear_at: f64) -> Self {
        Self::new(name, AlertSide::Above, raise_at, clear_at.min(raise_at))
    }

    /// Raised below `raise_at` and over at or above `clear_at`, each at once. A `clear_at` below
    /// `raise_at` is taken as `raise_at`.
    #[must_use]
    pub fn below(name: &'static str, raise_at: f64, clear_at: f64) -> Self {
        Self::new(name, AlertSide::Below, raise_at, clear_at.max(raise_at))
    }

    /// The same rule for values that must stay bad or good for some time.
    #[must_use]
    pub fn held(mut self, raise_after: Duration, clear_after: Duration) -> Self {
        (self.raise_after, self.clear_after) = (raise_after, clear_after);
        self
    }

    /// The same rule with what to do about it.
    #[must_use]
    pub fn advise(mut self, advice: &'static str) -> Self {
        self.advice = advice;
        self
    }

    fn new(name: &'static str, side: AlertSide, raise_at: f64, clear_at: f64) -> Self {
        let (raise_after, clear_after) = (Duration::ZERO, Duration::ZERO);
        Self { name, side, raise_at, clear_at, raise_after, clear_after, advice: "" }
    }

    fn is_bad(&self, value: f64) -> bool {
        match self.side {
            AlertSide::Above => value > self.raise_at,
            AlertSide::Below => value < self.raise_at,
        }
    }

    fn is_good(&self, value: f64) -> bool {
        match self.side {
            AlertSide::Above => value <= self.clear_at,
            AlertSide::Below => value >= self.clear_at,
        }
    }
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AlertEvent {
    /// The alert began, with the value that raised it.
    Raised(f64),
    /// The alert ended, with the value that cleared it.
    Cleared(f64),
}

/// One alert: a rule and where it stands.
///
/// ```
/// use lob_watch::{Alert, AlertEvent, AlertRule};
/// use std::time::Duration;
/// let mut alert = Alert::new(AlertRule::above("cpu", 0.9, 0.85));
/// let at = Duration::from_secs;
/// assert_eq!(alert.observe(at(0), Some(0.95)), Some(AlertEvent::Raised(0.95)));
/// assert_eq!(alert.observe(at(1), Some(0.88)), None); // Between the thresholds.
/// assert_eq!(alert.observe(at(2), Some(0.80)), Some(AlertEvent::Cleared(0.80)));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    rule: AlertRule,
    active: bool,
    /// How long the value has been such that the state would change; `None` when it is not.
    pending: Option<Duration>,
    last_at: Option<Duration>,
    last_value: Option<f64>,
    raised: u64,
}

impl Alert {
    /// An alert that has not been raised.
    #[must_use]
    pub fn new(rule: AlertRule) -> Self {
        Self { rule, active: false, pending: None, last_at: None, last_value: None, raised: 0 }
    }

    /// Takes a value at a time on any clock and returns the change of state it brings.
    ///
    /// A clock that has gone backwards stands still for that step. An unknown value (`None` or
    /// not a number) changes nothing, and what was pending begins anew.
    pub fn observe(&mut self, at: Duration, value: Option<f64>) -> Option<AlertEvent> {
        let passed = self.last_at.map_or(Duration::ZERO, |last| at.saturating_sub(last));
        self.last_at = Some(at);
        self.last_value = value.filter(|v| !v.is_nan());
        let Some(value) = self.last_value else {
            self.pending = None;
            return None;
        };
        let (turns, needed) = if self.active {
            (self.rule.is_good(value), self.rule.clear_after)
        } else {
            (self.rule.is_bad(value), self.rule.raise_after)
        };
        if !turns {
            self.pending = None;
            return None;
        }
        let held = self.pending.map_or(Duration::ZERO, |held| held.saturating_add(passed));
        if held < needed {
            self.pending = Some(held);
            return None;
        }
        self.pending = None;
        self.active = !self.active;
        if !self.active {
            return Some(AlertEvent::Cleared(value));
        }
        self.raised += 1;
        Some(AlertEvent::Raised(value))
    }

    /// The rule.
    #[must_use]
    pub fn rule(&self) -> &AlertRule {
        &self.rule
    }

    /// Whether it is raised now.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// Times it was raised.
    #[must_use]
    pub fn raised_total(&self) -> u64 {
        self.raised
    }

    /// The last value seen; `None` when that was unknown.
    #[must_use]
    pub fn last_value(&self) -> Option<f64> {
        self.last_value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule() -> AlertRule {
        AlertRule::above("x", 0.9, 0.8).held(Duration::from_secs(3), Duration::from_secs(2))
    }

    /// Feeds `(second, value)` pairs and returns the seconds of the changes.
    fn changes(rule: AlertRule, values: &[(u64, f64)]) -> Vec<(u64, bool)> {
        let mut alert = Alert::new(rule);
        let feed = |&(at, value): &(u64, f64)| {
            alert.observe(Duration::from_secs(at), Some(value)).map(|_| (at, alert.is_active()))
        };
        values.iter().filter_map(feed).collect()
    }

    #[test]
    fn a_value_must_stay_bad_and_then_stay_good() {
        let values = [(0, 0.95), (2, 0.95), (3, 0.95), (4, 0.7), (5, 0.85), (6, 0.7), (8, 0.7)];
        assert_eq!(changes(rule(), &values), [(3, true), (8, false)]);
        assert_eq!(changes(rule(), &[(0, 0.95), (2, 0.5), (3, 0.95), (5, 0.95)]), []);
    }

    #[test]
    fn thresholds_of_the_wrong_order_become_one() {
        assert_eq!(AlertRule::above("x", 0.5, 0.7).clear_at.to_bits(), 0.5f64.to_bits());
        assert_eq!(AlertRule::below("x", 0.5, 0.3).clear_at.to_bits(), 0.5f64.to_bits());
        let below = AlertRule::below("gpu", 0.7, 0.75);
        assert_eq!(changes(below, &[(0, 0.6), (1, 0.72), (2, 0.8)]), [(0, true), (2, false)]);
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_time_pass() {
        let values = [(100, 0.95), (10, 0.95), (12, 0.95), (13, 0.95)];
        assert_eq!(changes(rule(), &values), [(13, true)]);
    }

    proptest! {
        #[test]
        fn the_state_machine_keeps_its_promises(
            steps in proptest::collection::vec((0u64..20, proptest::option::of(0.0f64..1.2)), 1..200),
        ) {
            let mut alert = Alert::new(rule());
            // The last moment at which the value was not bad, or not good, in time that passed.
            let (mut now, mut last) = (0u64, None);
            let (mut bad_since, mut good_since) = (None, None);
            for (at, value) in steps {
                now += last.map_or(0, |last: u64| at.saturating_sub(last));
                last = Some(at);
                bad_since = value.filter(|v| *v > 0.9).map(|_| bad_since.unwrap_or(now));
                good_since = value.filter(|v| *v <= 0.8).map(|_| good_since.unwrap_or(now));
                let was = alert.is_active();
                match alert.observe(Duration::from_secs(at), value) {
                    Some(AlertEvent::Raised(v)) => {
                        prop_assert!(!was && alert.is_active() && v > 0.9);
                        prop_assert!(bad_since.is_some_and(|since| now - since >= 3));
                        good_since = None;
                    }
                    Some(AlertEvent::Cleared(v)) => {
                        prop_assert!(was && !alert.is_active() && v <= 0.8);
                        prop_assert!(good_since.is_some_and(|since| now - since >= 2));
                        bad_since = None;
                    }
                    None => {
                        prop_assert_eq!(was, alert.is_active());
                        // It is not late either.
                        let due = if was { good_since.map(|s| now - s >= 2) } else { bad_since.map(|s| now - s >= 3) };
                        prop_assert!(due != Some(true), "should have changed at {}", now);
                    }
                }
            }
        }

        #[test]
        fn between_the_thresholds_it_changes_once_at_most(
            values in proptest::collection::vec(0.8001f64..1.2, 1..100),
        ) {
            let mut alert = Alert::new(AlertRule::above("x", 0.9, 0.8));
            let changes = values
                .iter()
                .filter(|value| alert.observe(Duration::ZERO, Some(**value)).is_some())
                .count();
            prop_assert!(changes <= 1);
        }
    }
}
