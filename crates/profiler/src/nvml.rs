//! NVIDIA GPUs through the driver's management library, loaded while the program runs.
//!
//! Nothing is linked and no build needs the library; a machine without the driver gives the
//! reason. Names and structures are those of NVIDIA's "NVML API Reference Guide".

use lob_scope::Unavailable;

/// One GPU of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Number in the driver's order.
    pub index: u32,
    /// Model.
    pub name: String,
}

/// What a GPU's sensors say now. Each is a value or the reason for none.
#[derive(Debug, Clone, PartialEq)]
pub struct GpuReading {
    /// Memory in use by anybody, in bytes.
    pub used_bytes: Result<u64, Unavailable>,
    /// Memory in all, in bytes.
    pub total_bytes: Result<u64, Unavailable>,
    /// Memory in use by this process, in bytes; 0 when the driver lists others only.
    pub process_bytes: Result<u64, Unavailable>,
    /// Processes that compute on the GPU.
    pub processes: Result<Vec<GpuProcess>, Unavailable>,
    /// Share of the last sampling period in which a kernel ran, 0..=1.
    pub utilisation: Result<f64, Unavailable>,
    /// Power drawn, in watts.
    pub power_w: Result<f64, Unavailable>,
    /// Energy used since the driver was loaded, in joules.
    pub energy_j: Result<f64, Unavailable>,
    /// Temperature of the chip in degrees Celsius.
    pub temperature_celsius: Result<f64, Unavailable>,
    /// Clock of the multiprocessors in hertz.
    pub sm_clock_hz: Result<f64, Unavailable>,
    /// Clock of the memory in hertz.
    pub memory_clock_hz: Result<f64, Unavailable>,
}

/// A process that computes on a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuProcess {
    /// Its number, as the driver sees it; inside a container that may be another one.
    pub pid: u32,
    /// Memory it uses on this GPU, in bytes; some drivers do not tell.
    pub bytes: Result<u64, Unavailable>,
}

/// The machine's NVIDIA GPUs; empty when the driver knows none. The library is loaded by the first
/// call and stays.
///
/// # Errors
/// Where the driver's library `libnvidia-ml.so.1` cannot be loaded or does not start.
pub fn gpus() -> Result<Vec<Gpu>, Unavailable> {
    imp::gpus()
}

impl Gpu {
    /// Reads the sensors of this GPU.
    ///
    /// # Errors
    /// Where the driver is gone or no longer knows the GPU.
    pub fn read(&self) -> Result<GpuReading, Unavailable> {
        imp::read(self.index)
    }
}

#[cfg(not(unix))]
mod imp {
    use super::{Gpu, GpuReading, Unavailable};

    pub(super) fn gpus() -> Result<Vec<Gpu>, Unavailable> {
        Err(Unavailable::new("NVML is only looked for on Unix systems"))
    }

    pub(super) fn read(_index: u32) -> Result<GpuReading, Unavailable> {
        Err(Unavailable::new("NVML is only looked for on Unix systems"))
    }
}

#[cfg(unix)]
mod imp {
    use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
    use std::sync::OnceLock;

    use super::{Gpu, GpuProcess, GpuReading, Unavailable};

    const LIBRARY: &CStr = c"libnvidia-ml.so.1";
    const SUCCESS: c_int = 0;
    const INSUFFICIENT_SIZE: c_int = 7;
    /// Longest device name, terminator included (NVML_DEVICE_NAME_V2_BUFFER_SIZE).
    const NAME_BYTES: c_uint = 96;
    const TEMPERATURE_GPU: c_uint = 0;
    const CLOCK_SM: c_uint = 1;
    const CLOCK_MEMORY: c_uint = 2;
    /// "The driver cannot tell", in a process's memory (NVML_VALUE_NOT_AVAILABLE).
    const NOT_AVAILABLE: c_ulonglong = c_ulonglong::MAX;

    type Device = *mut c_void;
    type ReadU32 = unsafe extern "C" fn(Device, *mut c_uint) -> c_int;
    type ReadU32Of = unsafe extern "C" fn(Device, c_uint, *mut c_uint) -> c_int;

    /// `nvmlMemory_t`.
    #[repr(C)]
    #[derive(Default)]
    struct Memory {
        total: c_ulonglong,
        free: c_ulonglong,
        used: c_ulonglong,
    }

    /// `nvmlUtilization_t`, in percent.
    #[repr(C)]
    #[derive(Default)]
    struct Utilisation {
        gpu: c_uint,
        memory: c_uint,
    }

    /// `nvmlProcessInfo_t` as `nvmlDeviceGetComputeRunningProcesses_v3` fills it.
    #[repr(C)]
    #[derive(Clone, Default)]
    struct Process {
        pid: c_uint,
        used_memory: c_ulonglong,
        gpu_instance: c_uint,
        compute_instance: c_uint,
    }

    /// The functions used. Those a driver may lack are looked up when needed.
    struct Library {
        handle: *mut c_void,
    }

    // SAFETY: the handle is only passed to `dlsym`, which may be called from any thread, and NVML
    // is documented to be thread-safe.
    unsafe impl Send for Library {}
    // SAFETY: as above.
    unsafe impl Sync for Library {}

    pub(super) fn gpus() -> Result<Vec<Gpu>, Unavailable> {
        let library = library()?;
        let mut count: c_uint = 0;
        // SAFETY: the type is that of the reference; the pointer is valid for the call.
        let code = unsafe {
            let get: unsafe extern "C" fn(*mut c_uint) -> c_int =
                library.function(c"nvmlDeviceGetCount_v2")?;
            get(&raw mut count)
        };
        check(c"nvmlDeviceGetCount_v2", code)?;
        (0..count)
            .map(|index| Ok(Gpu { index, name: library.name(library.device(index)?)? }))
            .collect()
    }

    pub(super) fn read(index: u32) -> Result<GpuReading, Unavailable> {
        let library = library()?;
        let device = library.device(index)?;
        let memory = library.fill::<Memory>(device, c"nvmlDeviceGetMemoryInfo");
        let utilisation = library.fill::<Utilisation>(device, c"nvmlDeviceGetUtilizationRates");
        let clock =
            |kind| library.number_of(device, c"nvmlDeviceGetClockInfo", kind).map(|mhz| mhz * 1e6);
        let processes = library.processes(device);
        let energy = library.fill::<c_ulonglong>(device, c"nvmlDeviceGetTotalEnergyConsumption");
        Ok(GpuReading {
            used_bytes: memory.as_ref().map(|m| m.used).map_err(Clone::clone),
            total_bytes: memory.map(|m| m.total),
            process_bytes: processes.clone().and_then(|processes| own_bytes(&processes)),
            processes,
            utilisation: utilisation.map(|u| f64::from(u.gpu) / 100.0),
            power_w: library.number(device, c"nvmlDeviceGetPowerUsage").map(|mw| mw * 1e-3),
            energy_j: energy.map(|mj| mj as f64 * 1e-3),
            temperature_celsius: library.number_of(
                device,
                c"nvmlDeviceGetTemperature",
                TEMPERATURE_GPU,
            ),
            sm_clock_hz: clock(CLOCK_SM),
            memory_clock_hz: clock(CLOCK_MEMORY),
        })
    }

    /// The library, loaded and started once. It is never unloaded: others may be using it.
    fn library() -> Result<&'static Library, Unavailable> {
        static LOADED: OnceLock<Result<Library, Unavailable>> = OnceLock::new();
        LOADED.get_or_init(load).as_ref().map_err(Clone::clone)
    }

    fn load() -> Result<Library, Unavailable> {
        // SAFETY: the name is a C string. Loading runs the library's initialisers; this is the
        // driver's own library, which expects to be loaded like this.
        let handle = unsafe { libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(Unavailable::new("no NVIDIA driver: `libnvidia-ml.so.1` cannot be loaded"));
        }
        let library = Library { handle };
        // SAFETY: `nvmlInit_v2` takes nothing and may be called by everybody.
        let code = unsafe {
            let init: unsafe extern "C" fn() -> c_int = library.function(c"nvmlInit_v2")?;
            init()
        };
        check(c"nvmlInit_v2", code)?;
        Ok(library)
    }

    fn check(call: &CStr, code: c_int) -> Result<(), Unavailable> {
        let known = match code {
            SUCCESS => return Ok(()),
            1 => "not started",
            2 => "invalid argument",
            3 => "not supported by this GPU",
            4 => "no permission",
            6 => "no such GPU",
            9 => "the driver is not loaded",
            15 => "the GPU is lost",
            18 => "the library does not fit the driver",
            _ => "see NVIDIA's reference of nvmlReturn_t",
        };
        Err(Unavailable::new(format!("`{}` failed with {code}: {known}", call.to_string_lossy())))
    }

    impl Library {
        /// A function of the library.
        ///
        /// # Safety
        /// `F` must be the function pointer type of that name.
        unsafe fn function<F: Copy>(&self, name: &CStr) -> Result<F, Unavailable> {
            const { assert!(size_of::<F>() == size_of::<*mut c_void>(), "a function pointer") };
            // SAFETY: the handle came from `dlopen` and was never closed.
            let symbol = unsafe { libc::dlsym(self.handle, name.as_ptr()) };
            if symbol.is_null() {
                let name = name.to_string_lossy();
                return Err(Unavailable::new(format!("this driver has no `{name}`")));
            }
            // SAFETY: not null, of the size of a function pointer, and by the caller's promise of
            // the type `F`.
            Ok(unsafe { std::mem::transmute_copy::<*mut c_void, F>(&symbol) })
        }

        fn device(&self, index: c_uint) -> Result<Device, Unavailable> {
            let name = c"nvmlDeviceGetHandleByIndex_v2";
            let mut device: Device = std::ptr::null_mut();
            // SAFETY: the type is that of the reference; the pointer is valid for the call.
            let code = unsafe {
                let get: unsafe extern "C" fn(c_uint, *mut Device) -> c_int =
                    self.function(name)?;
                get(index, &raw mut device)
            };
            check(name, code).map(|()| device)
        }

        fn name(&self, device: Device) -> Result<String, Unavailable> {
            let name = c"nvmlDeviceGetName";
            let mut text = [0u8; NAME_BYTES as usize];
            // SAFETY: the buffer is as long as is said; the device came from NVML.
            let code = unsafe {
                let get: unsafe extern "C" fn(Device, *mut c_char, c_uint) -> c_int =
                    self.function(name)?;
                get(device, text.as_mut_ptr().cast(), NAME_BYTES)
            };
            check(name, code)?;
            let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
            Ok(String::from_utf8_lossy(&text[..end]).into_owned())
        }

        /// A call that takes a device and fills a `T`, which must be the structure the reference
        /// gives for that name.
        fn fill<T: Default>(&self, device: Device, name: &CStr) -> Result<T, Unavailable> {
            let mut value = T::default();
            // SAFETY: every caller in this module names a call with its structure; the pointer is
            // valid for the call and the device came from NVML.
            let code = unsafe {
                let get: unsafe extern "C" fn(Device, *mut T) -> c_int = self.function(name)?;
                get(device, &raw mut value)
            };
            check(name, code).map(|()| value)
        }

        fn number(&self, device: Device, name: &CStr) -> Result<f64, Unavailable> {
            let mut value: c_uint = 0;
            // SAFETY: as for `fill`, with a plain number.
            let code = unsafe { self.function::<ReadU32>(name)?(device, &raw mut value) };
            check(name, code).map(|()| f64::from(value))
        }

        fn number_of(&self, device: Device, name: &CStr, kind: c_uint) -> Result<f64, Unavailable> {
            let mut value: c_uint = 0;
            // SAFETY: as for `fill`, with a selector and a plain number.
            let code = unsafe { self.function::<ReadU32Of>(name)?(device, kind, &raw mut value) };
            check(name, code).map(|()| f64::from(value))
        }

        /// Processes that compute on a GPU.
        fn processes(&self, device: Device) -> Result<Vec<GpuProcess>, Unavailable> {
            type Get = unsafe extern "C" fn(Device, *mut c_uint, *mut Process) -> c_int;
            let name = c"nvmlDeviceGetComputeRunningProcesses_v3";
            let mut processes = vec![Process::default(); 64];
            loop {
                let mut count = c_uint::try_from(processes.len()).unwrap_or(c_uint::MAX);
                // SAFETY: the buffer holds `count` structures; the device came from NVML.
                let code = unsafe {
                    self.function::<Get>(name)?(device, &raw mut count, processes.as_mut_ptr())
                };
                if code == INSUFFICIENT_SIZE && processes.len() < 1 << 16 {
                    processes.resize(2 * processes.len(), Process::default());
                    continue;
                }
                check(name, code)?;
                let listed = processes.iter().take(count as usize);
                return Ok(listed.map(Process::told).collect());
            }
        }
    }

    impl Process {
        fn told(&self) -> GpuProcess {
            let bytes = if self.used_memory == NOT_AVAILABLE {
                Err(Unavailable::new("the driver does not tell the memory of single processes"))
            } else {
                Ok(self.used_memory)
            };
            GpuProcess { pid: self.pid, bytes }
        }
    }

    /// Memory of this process. Zero where the driver does not list it; that is its way of saying
    /// that it uses none.
    fn own_bytes(processes: &[GpuProcess]) -> Result<u64, Unavailable> {
        let mine = processes.iter().filter(|process| process.pid == std::process::id());
        mine.map(|process| process.bytes.clone()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_gpus_or_a_reason() {
        match gpus() {
            Ok(gpus) => {
                for gpu in gpus {
                    let reading = gpu.read().unwrap();
                    assert!(!gpu.name.is_empty());
                    assert!(reading.total_bytes.unwrap() >= reading.used_bytes.unwrap());
                }
            }
            Err(missing) => {
                assert!(missing.reason.contains("nvml") || missing.reason.contains("nvidia"));
            }
        }
    }
}
