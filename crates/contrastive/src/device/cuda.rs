//! What has to be there before burn's CUDA backend may be called, which panics otherwise.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::ContrastiveError;

/// Signs of an NVIDIA driver: the kernel module on Linux, the paravirtual device under WSL.
const DRIVER_SIGNS: [&str; 3] = ["/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"];

/// Toolkits outside `CUDA_PATH`, in the order in which the backend looks.
const TOOLKITS: [&str; 3] = ["/usr/local/cuda", "/opt/cuda", "/usr"];

/// A header that every kernel includes.
const HEADER: &str = "include/cuda_fp16.h";

/// Why CUDA cannot be used in this process; `None` when it can.
pub(super) fn obstacle() -> Option<String> {
    if !DRIVER_SIGNS.iter().any(|sign| Path::new(sign).exists()) {
        return Some(format!("no NVIDIA driver is loaded (`{}` is absent)", DRIVER_SIGNS[0]));
    }
    // Opens libcuda by name; a missing library is a panic, which would be reported twice.
    match quietly(cudarc::driver::CudaContext::device_count) {
        Err(_) => return Some("`libcuda.so.1` cannot be opened; install the NVIDIA driver".into()),
        Ok(Err(error)) => return Some(format!("the NVIDIA driver reports {error:?}")),
        Ok(Ok(0)) => return Some("the NVIDIA driver sees no GPU".into()),
        Ok(Ok(_)) => {}
    }
    let toolkits = toolkits();
    let has_headers = toolkits.iter().any(|folder| folder.join(HEADER).exists());
    (!has_headers)
        .then(|| format!("the CUDA headers are missing (`{HEADER}`); point CUDA_PATH at a toolkit"))
}

fn toolkits() -> Vec<PathBuf> {
    let named = std::env::var_os("CUDA_PATH").map(PathBuf::from);
    named.into_iter().chain(TOOLKITS.iter().map(PathBuf::from)).collect()
}

/// Runs `work`, which may panic, without the message on the terminal.
fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, ()> {
    // The hook belongs to the whole process: one at a time.
    static HOOK: Mutex<()> = Mutex::new(());
    let _guard = HOOK.lock();
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(AssertUnwindSafe(work));
    set_hook(hook);
    outcome.map_err(drop)
}

/// Runs work on the GPU; a panic of the backend, such as a missing nvrtc, becomes an error.
pub(crate) fn guarded<T>(
    work: impl FnOnce() -> Result<T, ContrastiveError>,
) -> Result<T, ContrastiveError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let first = text.and_then(|t| t.lines().next()).unwrap_or("no message");
        Err(ContrastiveError::Device {
            device: "cuda".into(),
            reason: format!("the CUDA backend gave up ({first}); see docs/GPU.md"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_backend_is_an_error() {
        assert_eq!(quietly(|| 3), Ok(3));
        assert_eq!(quietly(|| -> i32 { panic!("gone") }), Err(()));
        let failed = guarded(|| -> Result<(), _> { panic!("no nvrtc\nlong story") });
        let message = failed.unwrap_err().to_string();
        assert!(message.contains("(no nvrtc)") && !message.contains('\n'), "{message}");
        assert!(guarded(|| Ok(1)).is_ok());
    }
}
