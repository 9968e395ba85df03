//! What of a profile is worth saying.

use lob_metrics::{Finding, Severity, Unit};

use super::{FrameKind, HOT_LINE, HotFunction, HotLine, LineProfile};

/// Samples below which nothing is called hot: one sample more or less would decide.
const MIN_SAMPLES: u64 = 20;
/// Share of the CPU time below which the samples have missed something.
const COVERED: f64 = 0.75;
/// CPU time from which it is worth saying that samples have missed it.
const MIN_CPU_S: f64 = 0.05;
/// Functions of a kind that findings name.
const MAX_NAMED: usize = 3;
/// Share of the time with which a function is the way to everything and says nothing.
const EVERYTHING: f64 = 0.95;

impl LineProfile {
    /// Share of the CPU time that the samples stand for, where that time is known; sampling noise
    /// may take it above 1.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        let cpu_s = self.cpu_time_s.filter(|cpu_s| *cpu_s > 0.0)?;
        Some(self.samples as f64 * self.interval_s / cpu_s)
    }

    /// Share of the CPU time that so many samples stand for, 0..=1: of all of it where it is known
    /// and the samples miss a part, else of the samples.
    #[must_use]
    pub fn cpu_share(&self, samples: u64) -> f64 {
        let of_samples = samples as f64 / self.samples.max(1) as f64;
        of_samples * self.coverage().filter(|share| *share < COVERED).unwrap_or(1.0)
    }

    /// The lines with more than [`HOT_LINE`] of the CPU time. None of fewer than 20 samples, which
    /// say too little.
    pub fn hot_lines(&self) -> impl Iterator<Item = &HotLine> {
        self.lines_of(MIN_SAMPLES)
    }

    /// The lines with more than [`HOT_LINE`], if there are so many samples in all.
    pub(crate) fn lines_of(&self, least_samples: u64) -> impl Iterator<Item = &HotLine> {
        let enough = self.samples >= least_samples;
        self.lines.iter().take_while(move |line| enough && self.cpu_share(line.samples) > HOT_LINE)
    }

    /// The functions that more than [`HOT_LINE`] of the CPU time is charged to (see
    /// [`HotFunction::charged_samples`]), none of fewer than 20 samples.
    pub fn hot_functions(&self) -> impl Iterator<Item = &HotFunction> {
        let enough = self.samples >= MIN_SAMPLES;
        self.functions
            .iter()
            .take_while(move |f| enough && self.cpu_share(f.charged_samples) > HOT_LINE)
    }

    /// What the samples cover, the hot functions and lines, the kernel's share, and what could not
    /// be found out.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut texts: Vec<String> = self.uncovered().into_iter().collect();
        texts.extend(self.hot_functions().take(MAX_NAMED).map(|f| self.function_text(f)));
        texts.extend(self.callers().map(|f| self.function_text(f)));
        texts.extend(self.libraries().map(|f| self.library_text(f)));
        texts.extend(self.hot_lines().take(MAX_NAMED).map(|line| self.line_text(line)));
        texts.extend(self.kernel_text());
        if self.lost > 0 {
            let (lost, all) = (self.lost, self.lost + self.samples);
            texts.push(format!("{lost} of {all} CPU samples found no room and are missing"));
        }
        texts.extend(self.notes.iter().cloned());
        texts.into_iter().map(|text| Finding { severity: Severity::Info, text }).collect()
    }

    /// Own functions that call what is hot.
    fn callers(&self) -> impl Iterator<Item = &HotFunction> {
        let enough = self.samples >= MIN_SAMPLES;
        let mut list: Vec<&HotFunction> =
            self.functions.iter().filter(|f| f.kind.is_own()).collect();
        list.retain(|f| {
            let of_samples = f.total_samples as f64 / self.samples.max(1) as f64;
            enough
                && self.cpu_share(f.charged_samples) <= HOT_LINE
                && self.cpu_share(f.total_samples) > HOT_LINE
                && of_samples < EVERYTHING
        });
        list.sort_by_key(|f| std::cmp::Reverse(f.total_samples));
        list.into_iter().take(MAX_NAMED)
    }

    /// Functions of shared libraries that are hot themselves, whoever called them.
    fn libraries(&self) -> impl Iterator<Item = &HotFunction> {
        let enough = self.samples >= MIN_SAMPLES;
        let mut list: Vec<&HotFunction> = self
            .functions
            .iter()
            .filter(|f| f.kind == FrameKind::Library && f.module.contains(".so"))
            .filter(|f| enough && f.charged_samples < f.self_samples)
            .filter(|f| self.cpu_share(f.self_samples) > HOT_LINE)
            .collect();
        list.sort_by_key(|f| std::cmp::Reverse(f.self_samples));
        list.into_iter().take(MAX_NAMED)
    }

    fn library_text(&self, function: &HotFunction) -> String {
        let share = self.cpu_share(function.self_samples) * 100.0;
        format!("hot in libraries: {share:.0} % of {}: {}", self.whole(), function.place())
    }

    /// What shares are of.
    pub(super) fn whole(&self) -> String {
        match self.cpu_time_s {
            Some(cpu_s) => format!("{} of CPU time", Unit::Seconds.format(cpu_s)),
            None => format!("{} CPU samples", self.samples),
        }
    }

    fn function_text(&self, function: &HotFunction) -> String {
        let percent = |samples| self.cpu_share(samples) * 100.0;
        let (own, all) = (percent(function.charged_samples), percent(function.total_samples));
        let (whole, place) = (self.whole(), function.place());
        // What it has itself rounds to nothing.
        if own < 0.5 {
            return format!("hot function: {all:.0} % of {whole} with what it calls: {place}");
        }
        format!(
            "hot function: {own:.0} % of {whole} by itself, {all:.0} % with what it calls: {place}"
        )
    }

    fn line_text(&self, line: &HotLine) -> String {
        let share = self.cpu_share(line.samples) * 100.0;
        let at = if line.line.is_some() { "hot line" } else { "hot code" };
        format!("{at}: {share:.0} % of {}: {}", self.whole(), line.place())
    }

    /// The kernel's share, and who made it work.
    fn kernel_text(&self) -> Option<String> {
        let of_kernel = |f: &&HotFunction| f.kind == FrameKind::Kernel;
        let (kernel, user): (Vec<_>, Vec<_>) = self.functions.iter().partition(of_kernel);
        let all: u64 = kernel.iter().map(|f| f.self_samples).sum();
        let share = self.cpu_share(all);
        if self.samples < MIN_SAMPLES || share <= HOT_LINE {
            return None;
        }
        let whole = self.whole();
        let caller = user.iter().max_by_key(|f| f.kernel_samples).filter(|f| f.kernel_samples > 0);
        let caller = caller.map(|f| {
            let part = f.kernel_samples as f64 / all as f64 * 100.0;
            format!(", {part:.0} % of that for {}", f.place())
        });
        let most = kernel.first().filter(|f| f.function != "[kernel]");
        let most = most.map(|f| format!(", most in {}", f.function)).unwrap_or_default();
        Some(format!(
            "kernel: {:.0} % of {whole}{}{most}",
            share * 100.0,
            caller.unwrap_or_default()
        ))
    }

    /// What of the CPU time the samples do not show.
    fn uncovered(&self) -> Option<String> {
        let cpu_s = self.cpu_time_s.filter(|cpu_s| *cpu_s >= MIN_CPU_S)?;
        let coverage = self.coverage().filter(|share| *share < COVERED)?;
        let (sampled, cpu) = (
            Unit::Seconds.format(self.samples as f64 * self.interval_s),
            Unit::Seconds.format(cpu_s),
        );
        let (percent, samples) = (coverage * 100.0, self.samples);
        let why = match &self.user_mode_only {
            Some(reason) => format!(" in user mode; the kernel's time is not sampled: {reason}"),
            None if self.processes > 20 => format!(
                "; {} processes were seen, and those that end between two samples are missed",
                self.processes
            ),
            None => String::new(),
        };
        Some(format!(
            "the stack samples show {sampled} of {cpu} of CPU time, {percent:.0} % ({samples} \
             samples){why}"
        ))
    }
}
