//! What is delivered, and what an undisturbed conversion makes of it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use lob_convert::{ConvertConfig, Layout, convert};
use lob_depth::BinRule;
use lob_synth::{Schema, SynthConfig};

use crate::{
    machine::{Ignored, Machine, Trouble},
    run::{Manner, run},
    verdict::{self, Known, Tree},
};

/// Sources, each delivered with one of two contents.
pub(crate) const SOURCES: usize = 2;
const CONTENTS: usize = 2;
/// Records a day, instruments and days of each content.
const MARKETS: [[(usize, u32, u32); CONTENTS]; SOURCES] =
    [[(90, 2, 1), (70, 1, 1)], [(30, 1, 2), (40, 1, 2)]];
/// Records made a day, of which few are kept.
const MADE_RECORDS: u64 = 4_000;
/// An MBP-10 record, and where its time and its flags are.
const RECORD_BYTES: usize = 368;
const TS_EVENT_AT: usize = 8;
const FLAGS_AT: usize = 30;
const SNAPSHOT: u8 = 1 << 5;
const DAY_NS: u64 = 86_400_000_000_000;
const SEEDS: [u64; SOURCES] = [7, 11];

/// Which content each source has.
pub(crate) type Delivery = [usize; SOURCES];

/// What an undisturbed conversion makes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    pub(crate) data: Tree,
    /// Operations of the file system that it takes.
    pub(crate) n_ops: u64,
}

/// Inputs in a folder of their own, and what comes of them.
#[derive(Debug)]
pub struct Market {
    folder: tempfile::TempDir,
    contents: [[Vec<u8>; CONTENTS]; SOURCES],
    delivered: Option<Delivery>,
    expected: BTreeMap<(bool, Delivery), Expected>,
    pub(crate) known: Arc<Known>,
}

impl Market {
    /// Makes the inputs and converts each delivery undisturbed, on a disk in memory and on the
    /// machine's, where a reader opens what came out; both must give the same bytes.
    ///
    /// # Errors
    /// The inputs cannot be written, or a conversion fails or differs.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut contents = <[[Vec<u8>; CONTENTS]; SOURCES]>::default();
        for (source, of_source) in contents.iter_mut().enumerate() {
            for (n, content) in of_source.iter_mut().enumerate() {
                let (records, instruments, sessions) = MARKETS[source][n];
                let all = u64::from(sessions) * MADE_RECORDS;
                let (seed, schema) = (SEEDS[source], Schema::Mbp10);
                let config = SynthConfig { records: all, instruments, sessions, seed, schema };
                let path = folder.path().join("made.mbp-10.dbn");
                lob_synth::write_file(&config, &path)?;
                *content = shortened(&fs::read(&path)?, records).context("no DBN file")?;
                fs::remove_file(&path)?;
            }
        }
        let known = Arc::default();
        let mut market =
            Self { folder, contents, delivered: None, expected: BTreeMap::new(), known };
        let mut known = Known::default();
        for layout in [Layout::Bins, Layout::Ticks] {
            for delivery in deliveries() {
                let expected = market.undisturbed(layout, delivery)?;
                known.add(&expected.data);
                market.expected.insert((layout == Layout::Ticks, delivery), expected);
            }
        }
        market.known = Arc::new(known);
        Ok(market)
    }

    /// Where the store lies on the disk in memory.
    pub(crate) fn root() -> &'static Path {
        Path::new("/data/store")
    }

    pub(crate) fn config(layout: Layout) -> ConvertConfig {
        let mut config = ConvertConfig::new(Self::root());
        config.layout = layout;
        config.bin_rule = BinRule::Updates(5);
        (config.label.lookback, config.label.lookforward, config.label.offset) = (5, 5, 1);
        config.label.classes = 3;
        // The contents differ, on the same days.
        config.keep_duplicates = true;
        config
    }

    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        ["a", "b"].map(|name| self.folder.path().join(format!("{name}.mbp-10.dbn"))).to_vec()
    }

    /// Puts the contents in the place of the sources.
    pub(crate) fn deliver(&mut self, delivery: Delivery) -> Result<()> {
        if self.delivered == Some(delivery) {
            return Ok(());
        }
        for (path, (contents, &n)) in self.inputs().iter().zip(self.contents.iter().zip(&delivery))
        {
            fs::write(path, &contents[n]).with_context(|| format!("write `{}`", path.display()))?;
        }
        self.delivered = Some(delivery);
        Ok(())
    }

    pub(crate) fn expected(&self, layout: Layout, delivery: Delivery) -> &Expected {
        &self.expected[&(layout == Layout::Ticks, delivery)]
    }

    fn undisturbed(&mut self, layout: Layout, delivery: Delivery) -> Result<Expected> {
        self.deliver(delivery)?;
        let machine = Machine::new(0, Self::root(), Ignored::Nothing, Arc::clone(&self.known));
        machine.prepare(false);
        let manner = Manner { n_writers: 1, resume: false, keep_going: false };
        machine.begin(Trouble::default());
        for result in run(&machine, &self.inputs(), &Self::config(layout), manner) {
            result?;
        }
        let state = machine.lock();
        let expected = Expected { data: verdict::data(&state.files()), n_ops: state.n_ops };
        let out = self.folder.path().join("on-disk");
        convert(&self.inputs(), &ConvertConfig { out: out.clone(), ..Self::config(layout) }, &())?;
        let mut on_disk = Tree::new();
        for path in expected.data.keys() {
            on_disk.insert(path.clone(), fs::read(out.join(path))?);
        }
        if layout == Layout::Bins {
            let store = lob_store::Store::open(&out)?;
            ensure!(store.files().len() == expected.data.len(), "files differ on the disk");
        }
        let difference = verdict::difference(&on_disk, &expected.data);
        ensure!(difference.is_none(), "differs from the disk: {difference:?}");
        fs::remove_dir_all(&out)?;
        Ok(expected)
    }
}

/// A file with some records of each day, those after the snapshot that a day begins with: that
/// makes no row, and takes most of the time.
fn shortened(dbn: &[u8], per_day: usize) -> Option<Vec<u8>> {
    let header = 8 + u32::from_le_bytes(*dbn.get(4..)?.first_chunk()?) as usize;
    let mut content = dbn.get(..header)?.to_vec();
    let mut n_of_day = BTreeMap::new();
    for record in dbn[header..].chunks_exact(RECORD_BYTES) {
        let ts = u64::from_le_bytes(*record.get(TS_EVENT_AT..)?.first_chunk()?);
        let n = n_of_day.entry(ts / DAY_NS).or_insert(0);
        if record.get(FLAGS_AT)? & SNAPSHOT == 0 && *n < per_day {
            *n += 1;
            content.extend_from_slice(record);
        }
    }
    Some(content)
}

/// All that can be delivered.
pub(crate) fn deliveries() -> impl Iterator<Item = Delivery> {
    (0..CONTENTS).flat_map(|a| (0..CONTENTS).map(move |b| [a, b]))
}
