use lob_depth::{NO_PRICE, OrderFlow};
use parquet::basic::Type as Physical;

use crate::{
    LabelCell, NamedLabel, StoredBin,
    label::Numbers,
    schema::{self, Column},
    writer::chunk::Values,
};

/// The time stamp that means "unknown", as in DBN; a null in the file.
const UNDEF_TIMESTAMP: u64 = u64::MAX;

/// One page of rows turned into columns.
#[derive(Debug)]
pub(crate) struct Stage {
    columns: Vec<StagedColumn>,
    rows: usize,
}

/// The rows of one column.
#[derive(Debug)]
pub(crate) struct StagedColumn {
    pub(crate) values: Values,
    /// One entry a row for a nullable column: 1 is a value, 0 a null.
    pub(crate) levels: Option<Vec<i16>>,
}

impl StagedColumn {
    fn i32(&mut self, value: Option<i32>) {
        self.level(value.is_some());
        if let Values::I32(to) = &mut self.values {
            to.extend(value);
        }
    }

    fn i64(&mut self, value: Option<i64>) {
        self.level(value.is_some());
        if let Values::I64(to) = &mut self.values {
            to.extend(value);
        }
    }

    fn f64(&mut self, value: Option<f64>) {
        self.level(value.is_some());
        if let Values::F64(to) = &mut self.values {
            to.extend(value);
        }
    }

    fn level(&mut self, is_some: bool) {
        if let Some(levels) = &mut self.levels {
            levels.push(i16::from(is_some));
        }
    }
}

impl Stage {
    pub(crate) fn new(columns: &[Column], page_rows: usize) -> Self {
        let columns = columns
            .iter()
            .map(|column| StagedColumn {
                values: match column.physical {
                    Physical::INT32 => Values::I32(Vec::with_capacity(page_rows)),
                    Physical::INT64 => Values::I64(Vec::with_capacity(page_rows)),
                    _ => Values::F64(Vec::with_capacity(page_rows)),
                },
                levels: column.nullable.then(|| Vec::with_capacity(page_rows)),
            })
            .collect();
        Self { columns, rows: 0 }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> &[StagedColumn] {
        &self.columns
    }

    pub(crate) fn clear(&mut self) {
        self.rows = 0;
        for column in &mut self.columns {
            match &mut column.values {
                Values::I32(values) => values.clear(),
                Values::I64(values) => values.clear(),
                Values::F32(values) => values.clear(),
                Values::F64(values) => values.clear(),
                Values::Bytes(values) => values.clear(),
            }
            if let Some(levels) = &mut column.levels {
                levels.clear();
            }
        }
    }

    /// Adds a row, or says which number does not fit its column; nothing is added then.
    pub(crate) fn push(
        &mut self,
        row: &StoredBin,
        price_step: i64,
        labels: &[NamedLabel],
    ) -> Result<(), String> {
        let bin = &row.bin;
        if row.others.len() != labels.len() {
            return Err(format!("`{}` labels, expected {}", row.others.len(), labels.len()));
        }
        labels.iter().zip(&row.others).try_for_each(|(label, cell)| check_cell(label, cell))?;
        let flow = FlowCells::of(bin.flow.as_ref())?;
        let fixed = |name: &str, steps: i32| match steps {
            NO_PRICE => Ok(None),
            steps => i64::from(steps)
                .checked_mul(price_step)
                .map(Some)
                .ok_or_else(|| format!("`{name}` of `{steps}` steps does not fit")),
        };
        let last_bid = fixed("last_bid_px", bin.last_bid)?;
        let last_ask = fixed("last_ask_px", bin.last_ask)?;
        let time = |name: &str, ts: u64| match ts {
            UNDEF_TIMESTAMP => Ok(None),
            ts => fit(name, ts).map(Some),
        };
        let scalars = [
            (schema::TS_EVENT_FIRST, time("ts_event_first", bin.ts_event_first)?),
            (schema::TS_EVENT, time("ts_event", bin.ts_event_last)?),
            (schema::TS_RECV, time("ts_recv", bin.ts_recv_last)?),
            (schema::UPDATE_IDX, Some(fit("update_idx", bin.last_update)?)),
            (schema::TRADED_VOLUME, Some(fit("traded_volume", bin.traded_volume)?)),
        ];
        let mut counts = [0; lob_depth::SLOTS];
        for (to, &count) in counts.iter_mut().zip(&bin.order_count) {
            *to = fit("order count", count)?;
        }
        let segment = fit("segment", row.segment)?;
        let n_updates = fit("n_updates", bin.n_updates)?;

        for (at, value) in scalars {
            self.columns[at].i64(value);
        }
        self.columns[schema::SEGMENT].i32(Some(segment));
        self.columns[schema::N_UPDATES].i32(Some(n_updates));
        self.columns[schema::LAST_BID_PX].i64(last_bid);
        self.columns[schema::LAST_ASK_PX].i64(last_ask);
        let mid = last_bid.zip(last_ask).map(|(bid, ask)| mid_price(bid, ask));
        self.columns[schema::MID_PRICE].f64(mid);
        for (slot, count) in counts.into_iter().enumerate() {
            let px = bin.px[slot];
            self.columns[schema::PX + slot].i32((px != NO_PRICE).then_some(px));
            self.columns[schema::SIZE + slot].f64(Some(bin.size[slot]));
            self.columns[schema::VARIANCE + slot].f64(Some(bin.size_variance[slot]));
            self.columns[schema::COUNT + slot].i64(Some(count));
        }
        self.columns[schema::MOVEMENT].f64(row.movement);
        self.columns[schema::LABEL].i32(row.label);
        self.push_flow(&flow);
        let more = schema::QUEUE_IMBALANCE + 1;
        let mut columns = self.columns[more..].iter_mut();
        for (label, cell) in labels.iter().zip(&row.others) {
            let Some(column) = columns.next() else { break };
            match label.kind.numbers() {
                Numbers::Real => column.f64(cell.value),
                Numbers::Whole => column.i64(cell.value.map(whole)),
                Numbers::Class => column.i32(cell.class),
            }
            if schema::has_class_column(label) {
                columns.next().into_iter().for_each(|column| column.i32(cell.class));
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn push_flow(&mut self, flow: &FlowCells) {
        let columns = self.columns[schema::IMBALANCE..].iter_mut();
        columns.zip(flow.integers).for_each(|(column, value)| column.i64(value));
        self.columns[schema::MICROPRICE_DEVIATION].f64(flow.microprice_deviation);
        self.columns[schema::QUEUE_IMBALANCE].f64(flow.queue_imbalance);
    }
}

/// Largest whole number of a label: beyond it neighbours are no longer told apart.
const WHOLE_MAX: f64 = (1_u64 << 53) as f64;

/// Whether a label can have this value and class.
fn check_cell(label: &NamedLabel, cell: &LabelCell) -> Result<(), String> {
    let is_value = cell.value.is_none_or(|value| match label.kind.numbers() {
        Numbers::Real => value.is_finite(),
        Numbers::Whole => value.fract().abs() <= 0.0 && value.abs() <= WHOLE_MAX,
        Numbers::Class => cell.class.map(f64::from) == cell.value,
    });
    let is_class =
        cell.class.is_none_or(|class| class >= 0 && class.cast_unsigned() < label.classes);
    if is_value && is_class {
        return Ok(());
    }
    Err(format!("label `{}` of kind {} cannot be {cell:?}", label.name, label.kind))
}

/// A value that [`check_cell`] has passed.
#[expect(clippy::cast_possible_truncation, reason = "checked before")]
const fn whole(value: f64) -> i64 {
    value as i64
}

/// A row's order flow as its columns hold it.
#[derive(Default)]
struct FlowCells {
    integers: [Option<i64>; schema::MICROPRICE_DEVIATION - schema::IMBALANCE],
    microprice_deviation: Option<f64>,
    queue_imbalance: Option<f64>,
}

impl FlowCells {
    fn of(flow: Option<&OrderFlow>) -> Result<Self, String> {
        let Some(flow) = flow else { return Ok(Self::default()) };
        let mut cells = Self {
            microprice_deviation: flow.microprice_deviation,
            queue_imbalance: flow.queue_imbalance,
            ..Self::default()
        };
        let mut put = |column: usize, value| cells.integers[column - schema::IMBALANCE] = value;
        for (level, imbalance) in flow.imbalance.into_iter().enumerate() {
            put(schema::IMBALANCE + level, Some(imbalance));
        }
        put(schema::SIGNED_VOLUME, Some(flow.signed_volume));
        put(schema::TRADES, Some(fit("trade_count", flow.trades)?));
        put(schema::SIGNED_TRADES, Some(flow.signed_trades));
        for (first, name, counts) in [
            (schema::ADDS, "adds", flow.adds),
            (schema::CANCELS, "cancels", flow.cancels),
            (schema::MODIFIES, "modifies", flow.modifies),
        ] {
            for (side, count) in counts.into_iter().flatten().enumerate() {
                put(first + side, Some(fit(name, count)?));
            }
        }
        Ok(cells)
    }
}

fn fit<From: Copy + std::fmt::Display, To: TryFrom<From>>(
    name: &str,
    value: From,
) -> Result<To, String> {
    To::try_from(value).map_err(|_| format!("`{name}` of `{value}` does not fit its column"))
}

/// Mean of two prices in units of 1e-9, in units of 1.
#[expect(clippy::cast_precision_loss, reason = "a price for reading by eye; exact ones are beside")]
fn mid_price(bid: i64, ask: i64) -> f64 {
    (i128::from(bid) + i128::from(ask)) as f64 / 2e9
}
