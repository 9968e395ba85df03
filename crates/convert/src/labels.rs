//! The labels of a conversion's rows, for its account.

use lob_store::{LabelMeta, NamedLabel};

use crate::{ConvertConfig, LabelSummary, truth::TruthSource};

/// The labels of each row.
pub(crate) fn labels(config: &ConvertConfig, truth: Option<&TruthSource>) -> Vec<LabelSummary> {
    let reversal = NamedLabel {
        rule: config.class_edges.rule().to_owned(),
        ..NamedLabel::reversal(&LabelMeta {
            lookforward: config.label.lookforward.into(),
            classes: config.label.classes,
            ..LabelMeta::default()
        })
    };
    let truth = truth.into_iter().flat_map(TruthSource::labels);
    let all = std::iter::once(reversal).chain(config.forward_labels()).chain(truth);
    all.map(LabelSummary::from).collect()
}
