//! Where inputs and stores lie: a path that every machine sees, or a prefix in a bucket.

use std::{ffi::OsString, fmt, path::PathBuf, str::FromStr};

use anyhow::{Context, Result, bail};
use object_store::path::Path as Key;
use serde::{Deserialize, Serialize};

/// A path or a place in a bucket. Travels as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Place {
    /// A path, the same on every machine.
    Path(PathBuf),
    /// `s3://bucket/key`.
    Object(Object),
}

/// An object, or all those below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) bucket: String,
    /// Key of an object, or a prefix without the slash at its end.
    pub(crate) key: Key,
}

impl Place {
    /// A place as a user gives it. A path need not be Unicode.
    ///
    /// # Errors
    /// A URL of another kind, without a bucket, or with a key that has empty or dotted parts.
    pub(crate) fn from_arg(text: OsString) -> Result<Self> {
        match text.into_string() {
            Ok(text) => text.parse(),
            Err(text) => Ok(Self::Path(text.into())),
        }
    }
}

/// Reads a place on the command line.
pub(crate) fn parser() -> impl clap::builder::TypedValueParser<Value = Place> {
    use clap::builder::TypedValueParser as _;
    clap::builder::OsStringValueParser::new()
        .try_map(|text| Place::from_arg(text).map_err(|error| format!("{error:#}")))
}

impl FromStr for Place {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::Path(text.into()));
        };
        match scheme {
            "s3" => {
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    bail!("`{text}` names no bucket, expected `s3://bucket/prefix`");
                }
                // A first slash would be dropped in silence.
                let parsed = Key::parse(key).ok().filter(|_| !key.starts_with('/'));
                let key = parsed.with_context(|| {
                    format!("`{text}` has a key with an empty or dotted part; rename the object")
                })?;
                Ok(Self::Object(Object { bucket: bucket.to_owned(), key }))
            }
            "file" if rest.starts_with('/') => Ok(Self::Path(rest.into())),
            _ => bail!("`{text}`, expected a path, `file:///path` or `s3://bucket/prefix`"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Object(object) => object.fmt(f),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for Place {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (text, expected) in [
            ("/data/dbn", "/data/dbn"),
            ("data", "data"),
            ("file:///data/dbn", "/data/dbn"),
            ("s3://b", "s3://b/"),
            ("s3://b/", "s3://b/"),
            ("s3://b/p/q/", "s3://b/p/q"),
            ("s3://b/day=2024-01-02/a b.dbn", "s3://b/day=2024-01-02/a b.dbn"),
        ] {
            let place: Place = text.parse().unwrap();
            assert_eq!(place.to_string(), expected);
            // It travels inside the plan.
            let there = serde_json::to_string(&place).unwrap();
            assert_eq!(serde_json::from_str::<Place>(&there).unwrap(), place);
            assert_eq!(matches!(place, Place::Object(_)), text.starts_with("s3"));
        }
        for text in ["s3://", "s3:///key", "s3://b/../c", "s3://b//c", "gs://b/c", "file://host/x"]
        {
            let error = format!("{:#}", text.parse::<Place>().unwrap_err());
            assert!(error.contains(text), "{error}");
        }
    }
}
