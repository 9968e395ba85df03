//! What work costs, where somebody has stated a price.

/// The cost of an amount of work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostEstimate {
    /// Machine hours for all of it.
    pub hours: f64,
    /// Their price, in the currency of the price per hour.
    pub total: f64,
    /// The price of a million samples.
    pub per_million: f64,
}

/// The cost of `samples` at a measured rate and a stated price of a machine hour. An estimate: it
/// holds as long as the rate does, on the machine it was measured on, and covers nothing else.
///
/// `None` without a price, for a rate that is not positive, and for numbers that are not finite;
/// a price is never assumed.
#[must_use]
pub fn cost_estimate(
    samples: f64,
    samples_per_s: f64,
    price_per_hour: Option<f64>,
) -> Option<CostEstimate> {
    let price = price_per_hour.filter(|price| *price >= 0.0 && price.is_finite())?;
    if !(samples_per_s > 0.0 && samples_per_s.is_finite() && samples >= 0.0) {
        return None;
    }
    let hours_of = |samples: f64| samples / samples_per_s / 3600.0;
    let hours = hours_of(samples);
    let estimate = CostEstimate { hours, total: hours * price, per_million: hours_of(1e6) * price };
    (estimate.total.is_finite() && estimate.per_million.is_finite()).then_some(estimate)
}

/// What a feature costs and what it is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureCost {
    /// Its name.
    pub name: String,
    /// Measured seconds per sample.
    pub seconds: f64,
    /// Measured importance, on any scale that all of them share.
    pub importance: f64,
}

/// Features that take a larger share of the time than of the importance, by a factor of `ratio` at
/// least, dearest first. A feature without importance is among them when it costs anything.
#[must_use]
pub fn expensive_features(features: &[FeatureCost], ratio: f64) -> Vec<&FeatureCost> {
    let known = |f: &&FeatureCost| f.seconds.is_finite() && f.importance.is_finite();
    let seconds: f64 = features.iter().filter(known).map(|f| f.seconds.max(0.0)).sum();
    let importance: f64 = features.iter().filter(known).map(|f| f.importance.max(0.0)).sum();
    if seconds <= 0.0 || importance <= 0.0 {
        return Vec::new();
    }
    let dear = |f: &&FeatureCost| {
        let (cost, worth) = (f.seconds / seconds, f.importance.max(0.0) / importance);
        cost > 0.0 && cost >= ratio * worth
    };
    let mut found: Vec<&FeatureCost> = features.iter().filter(known).filter(dear).collect();
    found.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_never_made_up() {
        assert_eq!(cost_estimate(1e6, 100.0, None), None);
        assert_eq!(cost_estimate(1e6, 0.0, Some(1.0)), None);
        assert_eq!(cost_estimate(1e6, f64::NAN, Some(1.0)), None);
        let cost = cost_estimate(3.6e6, 1000.0, Some(2.5)).unwrap();
        assert!((cost.hours - 1.0).abs() < 1e-12 && (cost.total - 2.5).abs() < 1e-12);
        assert!((cost.per_million - 2.5 / 3.6).abs() < 1e-12);
    }

    #[test]
    fn dear_features_of_little_worth_are_named() {
        let feature = |name: &str, seconds, importance| FeatureCost {
            name: name.to_owned(),
            seconds,
            importance,
        };
        let all = [feature("a", 1.0, 8.0), feature("b", 8.0, 1.0), feature("c", 1.0, 0.0)];
        let names: Vec<&str> =
            expensive_features(&all, 2.0).iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
        assert!(expensive_features(&[feature("a", 1.0, 0.0)], 2.0).is_empty());
    }
}
