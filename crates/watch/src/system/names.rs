//! What sensors are called on a Prometheus page: units of the base, sources in the help.

/// Sensor, name of the gauge, help. Rates are absent: their counters are
/// those of [`counters`](super::counters::counters).
pub(super) const GAUGES: [(&str, &str, &str); 25] = [
    (
        "cpu.busy",
        "lob_cpu_busy_ratio",
        "Share of all cores' time that was not idle since the last look, 0 to 1 (/proc/stat).",
    ),
    (
        "cpu.iowait",
        "lob_cpu_iowait_ratio",
        "Share of all cores' time that was idle with a disk request under way since the last look, 0 to 1 (/proc/stat).",
    ),
    (
        "cpu.steal",
        "lob_cpu_steal_ratio",
        "Share of all cores' time that the hypervisor gave to other machines since the last look, 0 to 1 (/proc/stat).",
    ),
    ("load.1m", "lob_load1", "Tasks that run or wait, mean over 1 minute (/proc/loadavg)."),
    ("load.5m", "lob_load5", "Tasks that run or wait, mean over 5 minutes (/proc/loadavg)."),
    ("load.15m", "lob_load15", "Tasks that run or wait, mean over 15 minutes (/proc/loadavg)."),
    ("memory.total", "lob_memory_total_bytes", "Memory of the machine, in bytes (/proc/meminfo)."),
    (
        "memory.used",
        "lob_memory_used_bytes",
        "Memory that is not available to a new program, in bytes (/proc/meminfo).",
    ),
    (
        "memory.used_share",
        "lob_memory_used_ratio",
        "Share of the memory that is not available to a new program, 0 to 1 (/proc/meminfo).",
    ),
    (
        "pressure.cpu",
        "lob_pressure_cpu_ratio",
        "Share of the last 10 s in which some task waited for a core, 0 to 1 (/proc/pressure/cpu).",
    ),
    (
        "pressure.memory",
        "lob_pressure_memory_ratio",
        "Share of the last 10 s in which some task waited for memory, 0 to 1 (/proc/pressure/memory).",
    ),
    (
        "pressure.io",
        "lob_pressure_io_ratio",
        "Share of the last 10 s in which some task waited for a disk, 0 to 1 (/proc/pressure/io).",
    ),
    (
        "cpu.temperature",
        "lob_cpu_temperature_celsius",
        "Temperature of the hottest sensor of the processor, in degrees Celsius (/sys).",
    ),
    ("cpu.frequency_hz", "lob_cpu_frequency_hertz", "Clock of the processor, in hertz."),
    (
        "cpu.power",
        "lob_cpu_power_watts",
        "Power of the processor packages since the last look, in watts (/sys/class/powercap).",
    ),
    (
        "gpu.utilisation",
        "lob_gpu_utilisation_ratio",
        "Share of time the GPU computed, 0 to 1 (NVML).",
    ),
    ("gpu.memory_used", "lob_gpu_memory_used_bytes", "Memory of the GPU in use, in bytes (NVML)."),
    ("gpu.memory_total", "lob_gpu_memory_total_bytes", "Memory of the GPU, in bytes (NVML)."),
    (
        "gpu.memory_share",
        "lob_gpu_memory_used_ratio",
        "Share of the GPU's memory in use, 0 to 1 (NVML).",
    ),
    (
        "gpu.process_memory",
        "lob_gpu_process_memory_bytes",
        "Memory of the GPU that this process uses, in bytes (NVML).",
    ),
    ("gpu.processes", "lob_gpu_processes", "Processes that compute on the GPU (NVML)."),
    ("gpu.power", "lob_gpu_power_watts", "Power of the GPU, in watts (NVML)."),
    (
        "gpu.temperature",
        "lob_gpu_temperature_celsius",
        "Temperature of the GPU, in degrees Celsius (NVML).",
    ),
    (
        "gpu.sm_clock_hz",
        "lob_gpu_sm_clock_hertz",
        "Clock of the GPU's processors, in hertz (NVML).",
    ),
    (
        "gpu.memory_clock_hz",
        "lob_gpu_memory_clock_hertz",
        "Clock of the GPU's memory, in hertz (NVML).",
    ),
];
