//! How near work comes to what the machine can do (Williams, Waterman and Patterson, "Roofline",
//! 2009).

use lob_metrics::{Roof, Unit};

/// The two roofs: arithmetic and memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roofline {
    /// Most floating-point operations per second.
    pub flop_per_s: f64,
    /// Most bytes read and written per second.
    pub bytes_per_s: f64,
}

/// Work that was done and how long it took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes read from and written to memory.
    pub bytes: f64,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// Which roof is the lower one for some work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RooflineBound {
    /// Arithmetic.
    Compute,
    /// Memory.
    Memory,
}

/// Work held against the roofs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RooflineReport {
    /// Operations per second achieved.
    pub flop_per_s: f64,
    /// Bytes per second achieved.
    pub bytes_per_s: f64,
    /// Operations per byte.
    pub intensity: f64,
    /// Operations per byte from which on arithmetic is the limit.
    pub ridge: f64,
    /// Operations per second the roofs allow at this intensity.
    pub attainable_flop_per_s: f64,
    /// Share of that achieved; above 1 when caches served what was counted as memory.
    pub share: f64,
    /// The lower roof.
    pub bound: RooflineBound,
}

impl Roofline {
    /// The roofs of one core as measured; `None` where one of them was not. Copying reads and
    /// writes each byte, so it moves twice what it copies.
    #[must_use]
    pub fn of(roof: &Roof) -> Option<Self> {
        Self::of_cores(roof, 1)
    }

    /// The roofs of `cores` cores: arithmetic grows with them, the memory is one and the same, so
    /// that its roof is a lower bound.
    #[must_use]
    pub fn of_cores(roof: &Roof, cores: u32) -> Option<Self> {
        Some(Self {
            flop_per_s: roof.gemm_flop_per_s? * f64::from(cores.max(1)),
            bytes_per_s: 2.0 * roof.copy_bytes_per_s?,
        })
    }

    /// Holds work against the roofs; `None` for work without operations, bytes or time.
    #[must_use]
    pub fn report(&self, work: Work) -> Option<RooflineReport> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let all = [self.flop_per_s, self.bytes_per_s, work.flops, work.bytes, work.seconds];
        if !all.into_iter().all(positive) {
            return None;
        }
        let intensity = work.flops / work.bytes;
        let from_memory = intensity * self.bytes_per_s;
        let attainable_flop_per_s = from_memory.min(self.flop_per_s);
        let flop_per_s = work.flops / work.seconds;
        let bound = if from_memory < self.flop_per_s {
            RooflineBound::Memory
        } else {
            RooflineBound::Compute
        };
        Some(RooflineReport {
            flop_per_s,
            bytes_per_s: work.bytes / work.seconds,
            intensity,
            ridge: self.flop_per_s / self.bytes_per_s,
            attainable_flop_per_s,
            share: flop_per_s / attainable_flop_per_s,
            bound,
        })
    }
}

impl RooflineReport {
    /// One line for people, with the numbers it rests on.
    #[must_use]
    pub fn text(&self) -> String {
        let bound = match self.bound {
            RooflineBound::Compute => "arithmetic",
            RooflineBound::Memory => "memory",
        };
        format!(
            "{} at {:.1} FLOP a byte: {bound} is the limit (ridge {:.1}), {:.0} % of the {} it allows",
            Unit::FlopPerSecond.format(self.flop_per_s),
            self.intensity,
            self.ridge,
            self.share * 100.0,
            Unit::FlopPerSecond.format(self.attainable_flop_per_s),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOFS: Roofline = Roofline { flop_per_s: 200e9, bytes_per_s: 40e9 };

    #[test]
    fn the_lower_roof_is_named() {
        let report = ROOFS.report(Work { flops: 10e9, bytes: 10e9, seconds: 1.0 }).unwrap();
        assert_eq!((report.bound, report.ridge.round()), (RooflineBound::Memory, 5.0));
        assert!((report.share - 0.25).abs() < 1e-12);
        let report = ROOFS.report(Work { flops: 100e9, bytes: 1e9, seconds: 1.0 }).unwrap();
        assert_eq!(report.bound, RooflineBound::Compute);
        assert!((report.share - 0.5).abs() < 1e-12);
        assert!(report.text().contains("50 % of the 200 GFLOP/s"), "{}", report.text());
        assert_eq!(ROOFS.report(Work { flops: 0.0, bytes: 1.0, seconds: 1.0 }), None);
    }

    #[test]
    fn an_unmeasured_roof_is_no_roof() {
        assert_eq!(Roofline::of(&Roof::default()), None);
        let roof =
            Roof { gemm_flop_per_s: Some(1e9), copy_bytes_per_s: Some(1e9), ..Roof::default() };
        let roofs = Roofline::of_cores(&roof, 2).unwrap();
        assert_eq!(roofs, Roofline { flop_per_s: 2e9, bytes_per_s: 2e9 });
    }

    proptest! {
        #[test]
        fn the_attainable_rate_is_under_both_roofs(
            flops in 1.0f64..1e15, bytes in 1.0f64..1e15, seconds in 1e-9f64..1e5,
        ) {
            let report = ROOFS.report(Work { flops, bytes, seconds }).unwrap();
            prop_assert!(report.attainable_flop_per_s <= ROOFS.flop_per_s * (1.0 + 1e-12));
            let memory = report.attainable_flop_per_s / report.intensity;
            prop_assert!(memory <= ROOFS.bytes_per_s * (1.0 + 1e-12));
        }
    }
}
