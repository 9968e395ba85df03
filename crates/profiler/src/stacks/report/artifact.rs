//! The functions of a profile as a table of a report.

use lob_metrics::{Artifact, Cell, Column, Unit};

use super::{FrameKind, LineProfile};

/// Rows of the table.
const MAX_ROWS: usize = 30;
/// Share of the samples that a function has to be in.
const MIN_SHARE: f64 = 0.005;

impl LineProfile {
    /// The functions with most time charged to them, with most time in all, and the kernel's; `None`
    /// without samples.
    pub(crate) fn functions_artifact(&self) -> Option<Artifact> {
        if self.samples == 0 {
            return None;
        }
        let share = |samples: u64| self.cpu_share(samples);
        let mut listed: Vec<_> = self
            .functions
            .iter()
            .filter(|f| share(f.total_samples) >= MIN_SHARE)
            // What starts the program is in every stack and says nothing.
            .filter(|f| f.charged_samples + f.self_samples > 0 || f.kind.is_own())
            .collect();
        listed.sort_by_key(|f| {
            let own = f.kind != FrameKind::Kernel;
            std::cmp::Reverse((own, f.charged_samples.max(f.self_samples), f.total_samples))
        });
        let row = |f: &&super::HotFunction| -> Vec<Cell> {
            vec![
                share(f.charged_samples).into(),
                share(f.self_samples).into(),
                share(f.total_samples).into(),
                share(f.kernel_samples).into(),
                f.kind.name().into(),
                f.place().as_str().into(),
            ]
        };
        let column = |name: &str| Column::new(name, Some(Unit::Fraction));
        Some(Artifact::Table {
            title: format!("Functions by share of {}", self.whole()),
            headings: vec![
                column("Own, with what works for it"),
                column("By itself"),
                column("With all it calls"),
                column("Of itself in the kernel"),
                Column::new("Code", None),
                Column::new("Function", None),
            ],
            cells: listed.iter().take(MAX_ROWS).map(row).collect(),
        })
    }
}
