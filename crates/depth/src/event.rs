//! What a record says happened, and to which side.

/// The side an event is about; of a trade, the side that took liquidity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Side {
    /// A bid; of a trade, a buyer took an ask.
    Bid,
    /// An ask; of a trade, a seller took a bid.
    Ask,
    /// The feed does not say.
    #[default]
    None,
}

/// What an update's record says happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Action {
    /// An order came.
    Add,
    /// An order went, or a part of it; also what is left of it after a fill.
    Cancel,
    /// An order changed its price or size.
    Modify,
    /// Orders met; the book changes by the events that follow.
    Trade,
    /// Something that is none of these: a clear, a fill, a change of flags.
    #[default]
    Other,
    /// The feed does not say.
    Unknown,
}

/// Action and side of an update's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Event {
    /// What happened.
    pub action: Action,
    /// To which side.
    pub side: Side,
}
