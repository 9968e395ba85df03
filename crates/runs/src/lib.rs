//! Run documents between programs and the disk: [`open_run`] begins one about this program on this
//! machine, [`read_run`] reads one back, [`write_reports`] draws one into a folder.
//!
//! Folders of training runs are read back and compared ([`find_training_runs`]).
//!
//! Files are written whole or not at all ([`write_file`]); a history only ever grows
//! ([`append_history`]).
//!
//! ```
//! let run = lob_runs::open_run("A try", &lob_runs::Build::default(), [("seed", 7.into())]);
//! assert_eq!((run.tool.name.as_str(), &run.settings["seed"]), ("lob", &7.into()));
//! ```

mod error;
mod file;
mod history;
mod open;
mod report;
mod training;

pub use error::RunsError;
pub use file::{append_file, read_run, write_file};
pub use history::{append_history, read_history_file};
pub use open::{Build, open_run};
pub use report::write_reports;
pub use training::{
    SETTINGS_FILE, TRAINING_FILE, TRAINING_VERSION, TrainingRun, differing_settings,
    find_training_runs, is_training_run, read_training_run,
};
