//! Which machine this is.

use lob_metrics::Host;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use lob_scope::{cores, procfs};

/// Facts about this machine. `compiler` is the compiler that built the caller (`rustc -V`), which
/// only its build script knows. Facts that cannot be had are `None`.
///
/// The fingerprint is the 64-bit FNV-1a hash, in hexadecimal, of CPU model, cores, memory in whole
/// GiB, kernel release, governor, compiler and GPUs: figures of two runs may be compared when it
/// is the same.
#[must_use]
pub fn host(compiler: Option<&str>) -> Host {
    let wanted = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(wanted).ok();
    let mut host = Host {
        cpu: system.as_ref().and_then(cpu_model),
        cores: cores().ok(),
        memory_bytes: system.map(|s| s.total_memory()).filter(|bytes| *bytes > 0),
        kernel: kernel(),
        governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        compiler: compiler.map(str::to_owned),
        gpu: gpus(),
        fingerprint: String::new(),
    };
    host.fingerprint = fingerprint(&host);
    host
}

fn fingerprint(host: &Host) -> String {
    const GIB: u64 = 1 << 30;
    let text = |fact: &Option<String>| fact.clone().unwrap_or_else(|| "?".to_owned());
    let number = |fact: Option<u64>| fact.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let facts = [
        text(&host.cpu),
        number(host.cores.map(u64::from)),
        number(host.memory_bytes.map(|bytes| (bytes + GIB / 2) / GIB)),
        text(&host.kernel),
        text(&host.governor),
        text(&host.compiler),
        host.gpu.join(","),
    ];
    format!("{:016x}", fnv1a_64(facts.join("\n").as_bytes()))
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo; offset basis and prime as published).
fn fnv1a_64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn cpu_model(system: &System) -> Option<String> {
    let brand = system.cpus().first()?.brand().trim();
    (!brand.is_empty()).then(|| brand.to_owned())
}

fn kernel() -> Option<String> {
    let name = line("/proc/sys/kernel/ostype").unwrap_or_else(|| std::env::consts::OS.to_owned());
    Some(match System::kernel_version() {
        Ok(release) => format!("{name} {release}"),
        Err(_) => name,
    })
}

/// GPUs the NVIDIA kernel driver lists; empty without the driver.
fn gpus() -> Vec<String> {
    let Ok(cards) = std::fs::read_dir("/proc/driver/nvidia/gpus") else { return Vec::new() };
    let mut models: Vec<String> = cards
        .filter_map(Result::ok)
        .filter_map(|card| procfs::read(card.path().join("information")).ok())
        .filter_map(|text| procfs::field(&text, "Model").map(str::to_owned))
        .collect();
    models.sort_unstable();
    models
}

fn line(path: &str) -> Option<String> {
    let text = procfs::read(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv_matches_the_published_vectors() {
        assert_eq!(fnv1a_64(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a_64(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a_64(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_fingerprint_is_stable_and_tells_compilers_apart() {
        let (one, again, other) = (host(Some("rustc 1")), host(Some("rustc 1")), host(None));
        assert_eq!(one.fingerprint, again.fingerprint);
        assert_ne!(one.fingerprint, other.fingerprint);
        assert_eq!(one.fingerprint.len(), 16);
    }
}
