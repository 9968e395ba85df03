//! Which machine this is.

use lob_metrics::Host;

use lob_scope::{cores, procfs};

/// Facts about this machine. `compiler` is the compiler that built the caller (`rustc -V`), which
/// only its build script knows. Facts that cannot be had are `None`.
///
/// The fingerprint is the 64-bit FNV-1a hash, in hexadecimal, of CPU model, cores, memory in whole
/// GiB, kernel release, governor, compiler and GPUs: figures of two runs may be compared when it
/// is the same.
#[must_use]
pub fn host(compiler: Option<&str>) -> Host {
    let Machine { cpu, memory_bytes, kernel } = machine();
    let mut host = Host {
        cpu,
        cores: cores().ok(),
        memory_bytes: memory_bytes.filter(|bytes| *bytes > 0),
        kernel,
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

/// What the operating system knows of the machine.
struct Machine {
    cpu: Option<String>,
    memory_bytes: Option<u64>,
    kernel: Option<String>,
}

#[cfg(target_os = "linux")]
fn machine() -> Machine {
    let release = line("/proc/sys/kernel/osrelease");
    let name = line("/proc/sys/kernel/ostype").unwrap_or_else(|| "Linux".to_owned());
    Machine {
        cpu: procfs::read("/proc/cpuinfo").ok().and_then(|text| cpu_model(&text)),
        memory_bytes: procfs::read("/proc/meminfo")
            .ok()
            .and_then(|text| procfs::kib_field(&text, "MemTotal")),
        kernel: Some(release.map_or(name.clone(), |release| format!("{name} {release}"))),
    }
}

/// The model of a `/proc/cpuinfo`. The kernel gives no name on AArch64, but numbers of the maker and
/// the part.
#[cfg(target_os = "linux")]
fn cpu_model(cpuinfo: &str) -> Option<String> {
    let field = |key| procfs::field(cpuinfo, key).filter(|text| !text.is_empty());
    let numbers = || {
        let (maker, part) = (field("CPU implementer")?, field("CPU part")?);
        Some(format!("CPU implementer {maker}, part {part}"))
    };
    field("model name").map(str::to_owned).or_else(numbers)
}

#[cfg(not(target_os = "linux"))]
fn machine() -> Machine {
    use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};
    let wanted = RefreshKind::nothing()
        .with_cpu(CpuRefreshKind::nothing())
        .with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(wanted).ok();
    let brand = |system: &System| Some(system.cpus().first()?.brand().trim().to_owned());
    let name = std::env::consts::OS.to_owned();
    Machine {
        cpu: system.as_ref().and_then(brand).filter(|brand| !brand.is_empty()),
        memory_bytes: system.map(|system| system.total_memory()),
        kernel: Some(match System::kernel_version() {
            Ok(release) => format!("{name} {release}"),
            Err(_) => name,
        }),
    }
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

    #[cfg(target_os = "linux")]
    #[test]
    fn the_cpu_is_known_by_name_or_by_number() {
        let x86 = "processor\t: 0\nmodel name\t: AMD EPYC 9R14\nprocessor\t: 1\n";
        assert_eq!(cpu_model(x86).as_deref(), Some("AMD EPYC 9R14"));
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n";
        assert_eq!(cpu_model(arm).as_deref(), Some("CPU implementer 0x41, part 0xd0c"));
        assert_eq!(cpu_model("model name\t:\n"), None);
    }

    #[test]
    fn the_fingerprint_is_stable_and_tells_compilers_apart() {
        let (one, again, other) = (host(Some("rustc 1")), host(Some("rustc 1")), host(None));
        assert_eq!(one.fingerprint, again.fingerprint);
        assert_ne!(one.fingerprint, other.fingerprint);
        assert_eq!(one.fingerprint.len(), 16);
    }
}
