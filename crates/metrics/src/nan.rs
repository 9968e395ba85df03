//! JSON has no word for a number that is none: it is written as `null` and read back as NaN, so
//! that one bad sample never makes a stored run unreadable.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

pub(crate) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

pub(crate) fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    let values: Vec<Option<f64>> = Vec::deserialize(from)?;
    Ok(values.into_iter().map(|x| x.unwrap_or(f64::NAN)).collect())
}

pub(crate) fn pixels<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
    let values: Vec<Option<f32>> = Vec::deserialize(from)?;
    Ok(values.into_iter().map(|x| x.unwrap_or(f32::NAN)).collect())
}

pub(crate) fn known<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let values: BTreeMap<String, Option<f64>> = BTreeMap::deserialize(from)?;
    Ok(values.into_iter().filter_map(|(name, x)| Some((name, x?))).collect())
}
