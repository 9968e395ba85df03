//! What the kernel counts for the whole system.

use lob_profiler::Resource;

use super::Tracked;

/// Something that only grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Counter {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) label: Option<(&'static str, &'static str)>,
    pub(super) value: f64,
}

/// What has been counted since the system started, read now: whoever asks more often than the
/// monitor looks would see some rates as nothing and others doubled.
pub(super) fn counters(tracked: Tracked) -> Vec<Counter> {
    let mut out = Vec::new();
    let mut add = |name, help, label, value| out.push(Counter { name, help, label, value });
    if let Ok(cpu) = lob_profiler::cpu_times() {
        let name = "lob_cpu_seconds_total";
        let help = "CPU seconds of all cores since the system started, by mode (/proc/stat).";
        for (mode, seconds) in [
            ("user", cpu.user_s),
            ("system", cpu.system_s),
            ("idle", cpu.idle_s),
            ("iowait", cpu.iowait_s),
            ("steal", cpu.steal_s),
        ] {
            add(name, help, Some(("mode", mode)), seconds);
        }
    }
    let name = "lob_pressure_waiting_seconds_total";
    let help = "Seconds in which some task waited for the resource, since the system started (/proc/pressure).";
    for (name_of, resource) in
        [("cpu", Resource::Cpu), ("memory", Resource::Memory), ("io", Resource::Io)]
    {
        if let Ok(pressure) = lob_profiler::pressure(resource) {
            add(name, help, Some(("resource", name_of)), pressure.some_total_s);
        }
    }
    if let Ok(disk) = lob_profiler::disk_traffic() {
        let help = "Bytes read from all disks since the system started (/proc/diskstats).";
        add("lob_disk_read_bytes_total", help, None, disk.in_bytes as f64);
        let help = "Bytes written to all disks since the system started (/proc/diskstats).";
        add("lob_disk_written_bytes_total", help, None, disk.out_bytes as f64);
    }
    if let Some(Ok(network)) = tracked.network.then(lob_profiler::network_traffic) {
        let help = "Bytes received on all interfaces but the loopback (/proc/net/dev).";
        add("lob_network_received_bytes_total", help, None, network.in_bytes as f64);
        let help = "Bytes sent on all interfaces but the loopback (/proc/net/dev).";
        add("lob_network_sent_bytes_total", help, None, network.out_bytes as f64);
    }
    if let Ok(switches) = lob_profiler::system_context_switches() {
        let help = "Switches between tasks since the system started (/proc/stat).";
        add("lob_context_switches_total", help, None, switches as f64);
    }
    out
}
