/// A floating-point type that series come in: `f64` or `f32`.
///
/// Indicators calculate in `f64` whatever the series is made of; an `f32` series costs half the
/// memory traffic and gets its results rounded once, at the end.
pub trait Real: Copy + Send + Sync + sealed::Sealed + 'static {
    /// Null.
    const NULL: Self;
    /// The value to calculate with.
    fn to_f64(self) -> f64;
    /// The value to store.
    fn from_f64(value: f64) -> Self;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f64 {}
    impl Sealed for f32 {}
}

impl Real for f64 {
    const NULL: Self = f64::NAN;

    #[inline]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline]
    fn from_f64(value: f64) -> Self {
        value
    }
}

impl Real for f32 {
    const NULL: Self = f32::NAN;

    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding to the series' type is the point"
    )]
    fn from_f64(value: f64) -> Self {
        value as f32
    }
}
