//! Whether a training fits into memory, asked before any of it is taken.

use std::fs;

use anyhow::{Result, ensure};
use lob_contrastive::{Device, Prefetch, TrainConfig};
use lob_metrics::Unit;

/// Refuses a training whose estimate is above the limit given, or above what this process may still
/// take. Memory of a GPU is not estimated.
pub(super) fn check(
    config: &TrainConfig,
    n_inputs: usize,
    prefetch: Prefetch,
    device: Device,
    given: Option<u64>,
) -> Result<()> {
    if given.is_none() && device != Device::Cpu {
        return Ok(());
    }
    let why = format!(
        "`batch-size` is {}, a window has {n_inputs} values, there are {} `steps`\nhint: a smaller \
         --batch-size, --grad-cache or --prefetch-bytes",
        config.batch_size, config.steps
    );
    check_bytes(bytes(config, n_inputs, prefetch), given, &why)
}

/// Bytes of the training, and of the batches that are drawn ahead of it.
fn bytes(config: &TrainConfig, n_inputs: usize, prefetch: Prefetch) -> u64 {
    let values = n_inputs.saturating_mul(2).saturating_mul(config.batch_size);
    let ahead = prefetch.buffer_bytes(values.saturating_mul(size_of::<f32>()));
    config.memory_bytes(n_inputs).saturating_add(ahead as u64)
}

/// The same for bytes known before there is a window, such as those of generated signals.
pub(super) fn check_bytes(needed: u64, given: Option<u64>, why: &str) -> Result<()> {
    let given = given.map(|limit| (limit, "--memory-limit allows".to_owned()));
    let Some((limit, who)) = given.or_else(free) else { return Ok(()) };
    let shown = |bytes: u64| Unit::Bytes.format(bytes as f64);
    ensure!(
        needed <= limit,
        "this training takes about {} of memory, {who} {}: {why}; --memory-limit BYTES overrides \
         the limit",
        shown(needed),
        shown(limit)
    );
    Ok(())
}

/// Bytes that this process may still take, and by whose word: the least of all that are known.
fn free() -> Option<(u64, String)> {
    let all = [
        ("the machine has free", machine()),
        ("its control group leaves", control_group()),
        ("the limit of address space (ulimit -v) leaves", address_space()),
    ];
    let known = all.into_iter().filter_map(|(who, bytes)| Some((bytes?, who.to_owned())));
    known.min()
}

fn machine() -> Option<u64> {
    field_kib(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// A field such as `VmSize:  123 kB` in bytes.
fn field_kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

fn address_space() -> Option<u64> {
    let limit = soft_limit(&fs::read_to_string("/proc/self/limits").ok()?)?;
    let used = field_kib(&fs::read_to_string("/proc/self/status").ok()?, "VmSize:")?;
    Some(limit.saturating_sub(used))
}

/// The soft limit of address space in bytes; `None` for unlimited.
fn soft_limit(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Version 2, of the group this process is in as it sees it.
fn control_group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folder = std::path::Path::new("/sys/fs/cgroup").join(path);
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    Some(read("memory.max")?.saturating_sub(read("memory.current")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_kernel() {
        assert_eq!(
            field_kib("MemFree: 1 kB\nMemAvailable:  2000 kB\n", "MemAvailable:"),
            Some(2_048_000)
        );
        assert_eq!(field_kib("MemFree: 1 kB\n", "MemAvailable:"), None);
        let limits = |soft: &str| {
            format!(
                "Limit  Soft Limit  Hard Limit  Units\nMax address space  {soft}  unlimited  bytes\n"
            )
        };
        assert_eq!(soft_limit(&limits("8589934592")), Some(8_589_934_592));
        assert_eq!(soft_limit(&limits("unlimited")), None);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_estimate() {
        let config = TrainConfig::default();
        let ahead = Prefetch { workers: 1, factor: Some(3), ..Prefetch::default() };
        // A batch of windows of 768 values is one in hand and three ahead.
        let batch = 2 * config.batch_size as u64 * 768 * 4;
        let needed = bytes(&config, 768, ahead);
        assert_eq!(needed, config.memory_bytes(768) + 4 * batch);
        let none = Prefetch { bytes: 0, workers: 0, ..ahead };
        assert_eq!(bytes(&config, 768, none), config.memory_bytes(768) + batch);
        let check = |limit| check(&config, 768, ahead, Device::Cpu, Some(limit));
        assert!(check(needed).is_ok());
        let error = check(needed - 1).unwrap_err().to_string();
        let shown = Unit::Bytes.format(needed as f64);
        assert!(error.contains(&shown) && error.contains("`batch-size` is"), "{error}");
        assert!(error.contains("--memory-limit allows"), "{error}");
    }
}
