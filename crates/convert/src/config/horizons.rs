//! Labels that look forward: how far, and what their classes are.

use std::{collections::BTreeSet, fmt, str::FromStr};

use lob_depth::Reach;
use lob_store::{LabelUnit, NamedLabel};

use super::Layout;
use crate::{ConvertConfig, ConvertError};

/// Horizons that a store may have: each is a column or two.
const MOST: usize = 32;
/// Those of bins where none are asked for.
const DEFAULT: [Horizon; 4] =
    [Horizon::Bins(1), Horizon::Bins(3), Horizon::Bins(10), Horizon::Bins(50)];
/// No mid moves farther, in price steps; no multiple is larger.
const MOST_STEPS: f64 = 4_294_967_295.0;
/// Multiple of the volatility where none is given.
const DEFAULT_MULTIPLE: f64 = 0.5;

/// How far a label of kind forward looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Horizon {
    /// To the last mid of so many bins later.
    Bins(u32),
    /// To the mid so many updates after the bin's last one.
    Updates(u32),
    /// To the last mid at most so many seconds after the bin's last update.
    Seconds(u32),
}

impl Horizon {
    fn number(self) -> u32 {
        let (Self::Bins(n) | Self::Updates(n) | Self::Seconds(n)) = self;
        n
    }

    fn unit(self) -> LabelUnit {
        match self {
            Self::Bins(_) => LabelUnit::Bins,
            Self::Updates(_) => LabelUnit::Updates,
            Self::Seconds(_) => LabelUnit::Seconds,
        }
    }

    /// What updates are watched for; `None` of bins, whose mids are kept.
    fn reach(self) -> Option<Reach> {
        match self {
            Self::Bins(_) => None,
            Self::Updates(n) => Some(Reach::Updates(n)),
            Self::Seconds(s) => Some(Reach::Ns(u64::from(s) * 1_000_000_000)),
        }
    }
}

impl fmt::Display for Horizon {
    /// `10`, `500u`, `5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match self {
            Self::Bins(_) => "",
            Self::Updates(_) => "u",
            Self::Seconds(_) => "s",
        };
        write!(f, "{}{suffix}", self.number())
    }
}

impl FromStr for Horizon {
    type Err = ConvertError;

    /// A number of bins, `10` or `10b`, of updates, `500u`, or of seconds, `5s`.
    fn from_str(text: &str) -> Result<Self, ConvertError> {
        let (number, of): (_, fn(u32) -> Self) = match text.char_indices().next_back() {
            Some((at, 'b')) => (&text[..at], Self::Bins),
            Some((at, 'u')) => (&text[..at], Self::Updates),
            Some((at, 's')) => (&text[..at], Self::Seconds),
            _ => (text, Self::Bins),
        };
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
        let n = number.parse().ok().filter(|n| is_plain && *n > 0);
        n.map(of).ok_or_else(|| ConvertError::Config {
            setting: "horizons",
            found: text.to_owned(),
            expected: "whole numbers from 1 on: of bins (`10`), updates (`500u`) or seconds (`5s`)"
                .to_owned(),
        })
    }
}

/// What the classes of labels of kind forward are: down, flat and up, for a value below -t, within,
/// and above t.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ForwardClasses {
    /// There are none.
    None,
    /// t is this many price steps. 0, the default, asks for nothing to be chosen: down, unchanged, up.
    Fixed(f64),
    /// t is the spread at the row: what a round trip costs at least.
    Spread,
    /// t is this multiple of what the mid moves in so many bins, by its volatility up to the row:
    /// t = k s sqrt(N), s being [`PathWalk::past_volatility`](lob_depth::PathWalk::past_volatility). For
    /// horizons in bins.
    Volatility(f64),
}

impl Default for ForwardClasses {
    fn default() -> Self {
        Self::Fixed(0.0)
    }
}

impl fmt::Display for ForwardClasses {
    /// As [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Fixed(steps) => write!(f, "fixed={steps}"),
            Self::Spread => f.write_str("spread"),
            Self::Volatility(k) => write!(f, "volatility={k}"),
        }
    }
}

impl FromStr for ForwardClasses {
    type Err = ConvertError;

    /// `none`, `fixed=X`, `spread`, `volatility` or `volatility=K`.
    fn from_str(text: &str) -> Result<Self, ConvertError> {
        // No sign of zero makes another setting.
        let number =
            |text: &str| text.parse::<f64>().ok().filter(|x| *x <= MOST_STEPS).map(|x| x + 0.0);
        let parsed = match text.split_once('=') {
            None if text == "none" => Some(Self::None),
            None if text == "spread" => Some(Self::Spread),
            None if text == "volatility" => Some(Self::Volatility(DEFAULT_MULTIPLE)),
            Some(("fixed", x)) => number(x).filter(|x| *x >= 0.0).map(Self::Fixed),
            Some(("volatility", k)) => number(k).filter(|k| *k > 0.0).map(Self::Volatility),
            _ => None,
        };
        parsed.ok_or_else(|| odd_classes(text))
    }
}

fn odd_classes(found: &str) -> ConvertError {
    ConvertError::Config {
        setting: "forward-classes",
        found: found.to_owned(),
        expected:
            "`none`, `fixed=X` with X price steps from 0 on, `spread`, or `volatility=K` with K \
                   above 0, neither beyond 2^32"
                .to_owned(),
    }
}

impl ForwardClasses {
    /// A label with these classes.
    fn of(self, label: NamedLabel) -> NamedLabel {
        let ruled = |rule: String| {
            let rule = format!("down, flat, up: below -t, within, above t; t = {rule}");
            NamedLabel { classes: 3, rule, ..label.clone() }
        };
        match self {
            Self::None => label,
            Self::Fixed(steps) => {
                // Values are whole half steps.
                let half_steps = 2.0 * steps;
                let edges = vec![0.0 - half_steps, half_steps.floor() + 1.0];
                NamedLabel { edges, ..ruled(format!("{steps} price steps")) }
            }
            Self::Spread => ruled("the spread at the row".to_owned()),
            Self::Volatility(k) => ruled(format!(
                "{k} s sqrt({}), s the root mean square of the last 100 changes of the mid from bin to \
                 bin, at least 10, up to the row",
                label.horizon
            )),
        }
    }
}

impl ConvertConfig {
    /// The horizons of labels of kind forward.
    #[must_use]
    pub fn horizons(&self) -> &[Horizon] {
        match (&self.horizons, self.layout) {
            (Some(horizons), _) => horizons,
            (None, Layout::Bins) => &DEFAULT,
            (None, Layout::Ticks) => &[],
        }
    }

    /// The labels that look forward, in their order.
    pub(crate) fn forward_labels(&self) -> Vec<NamedLabel> {
        let horizons = self.horizons();
        let forward = |horizon: &Horizon| {
            self.forward_classes.of(NamedLabel::forward_in(horizon.number(), horizon.unit()))
        };
        let mut labels: Vec<_> = horizons.iter().map(forward).collect();
        labels.extend(self.volatilities().map(NamedLabel::volatility));
        if !horizons.is_empty() {
            labels.extend([NamedLabel::next_change(), NamedLabel::next_trade_side()]);
        }
        labels
    }

    /// Horizons of the labels of kind volatility: that of one bin would say what forward does.
    pub(crate) fn volatilities(&self) -> impl Iterator<Item = u32> {
        self.horizons().iter().filter_map(|horizon| match horizon {
            Horizon::Bins(n @ 2..) => Some(*n),
            _ => None,
        })
    }

    /// What updates are watched for, in the order of the horizons that are not of bins.
    pub(crate) fn reaches(&self) -> Vec<Reach> {
        self.horizons().iter().filter_map(|horizon| horizon.reach()).collect()
    }

    /// Checks the horizons and their classes.
    pub(super) fn check_horizons(&self) -> Result<(), ConvertError> {
        let horizons = self.horizons();
        let refuse = |expected: String| {
            let found = horizons.iter().map(Horizon::to_string).collect::<Vec<_>>().join(",");
            Err(ConvertError::Config { setting: "horizons", found, expected })
        };
        let distinct: BTreeSet<_> = horizons.iter().collect();
        if horizons.iter().any(|horizon| horizon.number() == 0) || distinct.len() != horizons.len()
        {
            return refuse("distinct numbers, each at least 1".to_owned());
        }
        if distinct.len() > MOST {
            return refuse(format!("at most {MOST} of them"));
        }
        if self.layout == Layout::Ticks && !horizons.is_empty() {
            return refuse("none with the layout of ticks, whose rows are no bins".to_owned());
        }
        let text = self.forward_classes.to_string();
        // As the text is read, so are the numbers checked.
        text.parse::<ForwardClasses>()?;
        let is_of_bins = |horizon: &Horizon| matches!(horizon, Horizon::Bins(_));
        if matches!(self.forward_classes, ForwardClasses::Volatility(_))
            && let Some(horizon) = horizons.iter().find(|horizon| !is_of_bins(horizon))
        {
            return Err(ConvertError::Config {
                setting: "forward-classes",
                found: format!("{text} with the horizon `{horizon}`"),
                expected: "horizons in bins, whose volatility is known".to_owned(),
            });
        }
        Ok(())
    }
}
