//! Any text as the files beside a sound input: manifest, conditions and symbology of a batch
//! folder, class edges, and the journal of the store. An error that names the file, or a conversion.

use lob_convert::{ClassEdges, ConvertConfig, convert, inspect};

const INPUT: &[u8] = include_bytes!("../seeds/record_stream/mbo.dbn");

pub(crate) fn check(bytes: &[u8]) {
    let Some((&which, text)) = bytes.split_first() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let batch = folder.path().join("batch");
    let mut config = ConvertConfig::new(folder.path().join("store"));
    (config.label.lookback, config.label.lookforward, config.label.offset) = (3, 3, 1);
    config.resume = which & 4 != 0;
    for folder in [&batch, &config.out] {
        std::fs::create_dir(folder).expect("room for a folder");
    }
    let sidecar = match which % 5 {
        0 => batch.join("manifest.json"),
        1 => batch.join("condition.json"),
        2 => batch.join("symbology.json"),
        4 => folder.path().join("edges.json"),
        _ => config.out.join(".loblab-journal.jsonl"),
    };
    std::fs::write(&sidecar, text).expect("room for the text");
    if let Ok((edges, classes)) = ClassEdges::of(&sidecar, &config.label) {
        (config.class_edges, config.label.classes) = (edges, classes);
    }
    std::fs::write(batch.join("a.mbo.dbn"), INPUT).expect("room for the input");
    drop(convert(&[batch], &config, &()));
    drop(inspect(&config.out));
}
