/// Where a window comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Number of the store's file, or of the signal.
    pub file: usize,
    /// First row in that file.
    pub row: u64,
    /// Time of the window's first update, ns since 1970; `None` where unknown.
    pub ts_first: Option<u64>,
    /// Time of the window's last update, ns since 1970; `None` where unknown.
    pub ts_event: Option<u64>,
    /// Instrument, for a store.
    pub instrument_id: Option<u32>,
}
