//! Heat and frequency.

use std::path::{Path, PathBuf};

use lob_scope::{Unavailable, procfs};

/// The hottest reading of the machine's own thermometers, in degrees Celsius.
///
/// # Errors
/// Where the kernel shows no thermometer, as in most virtual machines.
pub fn temperature_celsius() -> Result<f64, Unavailable> {
    hottest(Path::new("/sys/class/thermal"), Path::new("/sys/class/hwmon")).ok_or_else(|| {
        Unavailable::new("no thermometer in `/sys/class/thermal` or `/sys/class/hwmon`")
    })
}

fn hottest(thermal: &Path, hwmon: &Path) -> Option<f64> {
    let zones = children(thermal, "thermal_zone").into_iter().map(|zone| zone.join("temp"));
    let chips = children(hwmon, "hwmon").into_iter().flat_map(|chip| children(&chip, "temp"));
    let inputs = chips.filter(|path| path.to_string_lossy().ends_with("_input"));
    zones.chain(inputs).filter_map(|path| number(&path)).reduce(f64::max).map(|milli| milli * 1e-3)
}

/// Mean frequency of the cores now, in hertz.
///
/// # Errors
/// Where neither the frequency driver nor `/proc/cpuinfo` gives one.
pub fn cpu_frequency_hz() -> Result<f64, Unavailable> {
    let driver = children(Path::new("/sys/devices/system/cpu"), "cpu")
        .into_iter()
        .filter_map(|cpu| number(&cpu.join("cpufreq/scaling_cur_freq")))
        .map(|khz| khz * 1e3)
        .collect();
    mean(driver)
        .or_else(|| mean(megahertz(&procfs::read("/proc/cpuinfo").ok()?)))
        .ok_or_else(|| Unavailable::new("neither `cpufreq` nor `/proc/cpuinfo` gives a frequency"))
}

fn megahertz(cpuinfo: &str) -> Vec<f64> {
    let values = cpuinfo.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "cpu MHz").then(|| value.trim().parse::<f64>().ok())?
    });
    values.map(|mhz| mhz * 1e6).collect()
}

fn mean(values: Vec<f64>) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Entries of a directory whose names begin with `prefix`; none where it cannot be read.
pub(super) fn children(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let wanted = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(wanted).collect();
    paths.sort_unstable();
    paths
}

/// The number a file holds.
pub(super) fn number(path: &Path) -> Option<f64> {
    procfs::read(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_thermometer_counts() {
        let dir = std::env::temp_dir().join(format!("lob-thermal-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("thermal/thermal_zone0/temp", "41000\n");
        write("hwmon/hwmon1/temp1_input", "55500\n");
        write("hwmon/hwmon1/temp1_max", "99000\n");
        let hottest_of = |a: &str| hottest(&dir.join(a), &dir.join("hwmon"));
        assert_eq!(hottest_of("thermal"), Some(55.5));
        std::fs::remove_dir_all(dir.join("hwmon")).unwrap();
        assert_eq!(hottest_of("thermal"), Some(41.0));
        assert_eq!(hottest_of("nowhere"), None);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn frequencies_are_averaged() {
        let text = "cpu MHz\t\t: 2000.000\nflags: x\ncpu MHz\t\t: 3000.000\n";
        assert_eq!(mean(megahertz(text)), Some(2.5e9));
        assert_eq!(mean(megahertz("")), None);
    }
}
