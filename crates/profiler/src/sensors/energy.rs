//! Energy, where the processor counts it.

use std::path::Path;

use lob_scope::Unavailable;

use super::thermal::{children, number};

/// Energy counters of the processor packages at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct EnergyReading {
    /// Counter and where it wraps, per package, in microjoules.
    packages: Vec<(f64, f64)>,
}

impl EnergyReading {
    /// Joules all packages together have used since `before`. A counter that has wrapped once is
    /// put right; it takes minutes to do so twice.
    #[must_use]
    pub fn joules_since(&self, before: &Self) -> f64 {
        let pairs = self.packages.iter().zip(&before.packages);
        let used = pairs.map(
            |((now, range), (then, _))| {
                if now >= then { now - then } else { now + range - then }
            },
        );
        used.sum::<f64>() * 1e-6
    }
}

/// Reads the energy counters of the processor packages (powercap, `intel-rapl`, which AMD uses
/// too).
///
/// # Errors
/// Where there are none, as in virtual machines, or where only the administrator may read them.
pub fn energy() -> Result<EnergyReading, Unavailable> {
    read(Path::new("/sys/class/powercap"))
}

fn read(powercap: &Path) -> Result<EnergyReading, Unavailable> {
    // `intel-rapl:0` is a package; `intel-rapl:0:1` is a part of it and would count twice.
    let zones: Vec<_> = children(powercap, "intel-rapl:")
        .into_iter()
        .filter(|zone| zone.to_string_lossy().rsplit('/').next().is_some_and(is_package))
        .collect();
    if zones.is_empty() {
        return Err(Unavailable::new(format!("no energy counter in `{}`", powercap.display())));
    }
    let package = |zone: &std::path::PathBuf| {
        let read = |file: &str| {
            number(&zone.join(file)).ok_or_else(|| {
                Unavailable::new(format!(
                    "cannot read `{}`: most systems let only the administrator",
                    zone.join(file).display()
                ))
            })
        };
        Ok((read("energy_uj")?, read("max_energy_range_uj")?))
    };
    Ok(EnergyReading { packages: zones.iter().map(package).collect::<Result<_, _>>()? })
}

fn is_package(name: &str) -> bool {
    name.matches(':').count() == 1
}

/// Grams of CO2 for an amount of energy from a grid that emits `g_per_kwh`. An estimate: the
/// factor is the reader's to state, and what only the whole machine uses is not in it.
#[must_use]
pub fn co2_g(joules: f64, g_per_kwh: f64) -> f64 {
    joules / 3.6e6 * g_per_kwh
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_summed_parts_left_out_and_wraps_put_right() {
        let dir = std::env::temp_dir().join(format!("lob-powercap-{}", std::process::id()));
        let write = |zone: &str, energy: &str| {
            std::fs::create_dir_all(dir.join(zone)).unwrap();
            std::fs::write(dir.join(zone).join("energy_uj"), energy).unwrap();
            std::fs::write(dir.join(zone).join("max_energy_range_uj"), "10000000").unwrap();
        };
        write("intel-rapl:0", "9000000");
        write("intel-rapl:0:0", "1");
        write("intel-rapl:1", "2000000");
        let before = read(&dir).unwrap();
        write("intel-rapl:0", "500000");
        write("intel-rapl:1", "2250000");
        let joules = read(&dir).unwrap().joules_since(&before);
        assert!((joules - 1.75).abs() < 1e-9, "{joules}");
        std::fs::remove_file(dir.join("intel-rapl:1/energy_uj")).unwrap();
        assert!(read(&dir).unwrap_err().reason.contains("energy_uj"));
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(read(&dir).unwrap_err().reason.contains("no energy counter"));
    }

    #[test]
    fn a_kilowatt_hour_emits_the_factor() {
        assert!((co2_g(3.6e6, 380.0) - 380.0).abs() < 1e-9);
    }
}
