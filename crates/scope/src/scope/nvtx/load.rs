//! Finding the functions.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::Unavailable;

const INJECTION: &str = if cfg!(target_pointer_width = "64") {
    "NVTX_INJECTION64_PATH"
} else {
    "NVTX_INJECTION32_PATH"
};
const LIBRARY: &CStr = c"libnvToolsExt.so.1";

// Numbers of `nvtxTypes.h`.
const EXPORT_CALLBACKS: u32 = 1;
const EXPORT_VERSION: u32 = 3;
const MODULE_CORE: c_int = 1;
const MODULE_CORE2: c_int = 5;
const RANGE_PUSH: usize = 9;
const RANGE_POP: usize = 11;
/// Functions of either module, and the unused number 0.
const FUNCTIONS: usize = 16;
const TABLE_SIZE: c_uint = 16;
const _: () = assert!(TABLE_SIZE as usize == FUNCTIONS);
const NVTX_VERSION: u32 = 3;

type Push = unsafe extern "C" fn(*const c_char) -> c_int;
type Pop = unsafe extern "C" fn() -> c_int;

/// The two functions ranges need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Functions {
    push: Push,
    pop: Pop,
}

impl Functions {
    /// Opens a range; the name ends with a zero byte.
    pub(super) fn push(self, name: &[u8; super::MAX_NAME_BYTES + 1]) {
        debug_assert_eq!(name.last(), Some(&0));
        // SAFETY: the function was given for this name by the profiler or by NVIDIA's library, and
        // takes a C string, which it does not keep. It may be called from any thread.
        unsafe { (self.push)(name.as_ptr().cast()) };
    }

    pub(super) fn pop(self) {
        // SAFETY: as for `push`; it takes nothing, and a pop too many is allowed.
        unsafe { (self.pop)() };
    }
}

/// The functions, looked for once. What was loaded stays loaded.
pub(super) fn functions() -> Result<&'static Functions, Unavailable> {
    static LOADED: OnceLock<Result<Functions, Unavailable>> = OnceLock::new();
    LOADED.get_or_init(find).as_ref().map_err(Clone::clone)
}

fn find() -> Result<Functions, Unavailable> {
    match std::env::var_os(INJECTION) {
        Some(path) if !path.is_empty() => injected(&path),
        _ => installed(),
    }
}

/// A pointer to a function, and the table of pointers to such places that a profiler fills in.
type Place = AtomicPtr<c_void>;

struct Table([*const Place; FUNCTIONS]);

// SAFETY: the pointers are to statics, which are only accessed atomically here; a profiler writes
// to them while `injected` waits for it.
unsafe impl Sync for Table {}

static CORE: [Place; FUNCTIONS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; FUNCTIONS];
static CORE2: [Place; FUNCTIONS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; FUNCTIONS];
static CORE_TABLE: Table = table(&CORE);
static CORE2_TABLE: Table = table(&CORE2);

/// The number 0 stands for no function.
const fn table(places: &'static [Place; FUNCTIONS]) -> Table {
    let mut pointers = [std::ptr::null(); FUNCTIONS];
    let mut i = 1;
    while i < FUNCTIONS {
        pointers[i] = &raw const places[i];
        i += 1;
    }
    Table(pointers)
}

/// `NvtxExportTableCallbacks`.
#[repr(C)]
struct Callbacks {
    size: usize,
    module_table: extern "C" fn(c_int, *mut *const *const Place, *mut c_uint) -> c_int,
}

/// `NvtxExportTableVersionInfo`.
#[repr(C)]
struct Version {
    size: usize,
    version: u32,
    reserved: u32,
    set_injection_version: extern "C" fn(u32),
}

extern "C" fn export_table(id: u32) -> *const c_void {
    static CALLBACKS: Callbacks = Callbacks { size: size_of::<Callbacks>(), module_table };
    static VERSION: Version = Version {
        size: size_of::<Version>(),
        version: NVTX_VERSION,
        reserved: 0,
        set_injection_version,
    };
    match id {
        EXPORT_CALLBACKS => (&raw const CALLBACKS).cast(),
        EXPORT_VERSION => (&raw const VERSION).cast(),
        _ => std::ptr::null(),
    }
}

extern "C" fn set_injection_version(_version: u32) {}

extern "C" fn module_table(
    module: c_int,
    table: *mut *const *const Place,
    size: *mut c_uint,
) -> c_int {
    let found = match module {
        MODULE_CORE => &CORE_TABLE,
        MODULE_CORE2 => &CORE2_TABLE,
        _ => return 0,
    };
    // SAFETY: a profiler passes two places to write to, of which either may be null.
    unsafe {
        if !table.is_null() {
            table.write(found.0.as_ptr());
        }
        if !size.is_null() {
            size.write(TABLE_SIZE);
        }
    }
    1
}

/// The library of a profiler, which is asked to fill in its functions.
fn injected(path: &OsStr) -> Result<Functions, Unavailable> {
    type Initialise = unsafe extern "C" fn(extern "C" fn(u32) -> *const c_void) -> c_int;
    let shown = path.to_string_lossy();
    let name = CString::new(path.as_bytes())
        .map_err(|_| Unavailable::new(format!("`{INJECTION}` holds a zero byte")))?;
    let library = open(&name)
        .ok_or_else(|| Unavailable::new(format!("`{shown}` of `{INJECTION}` cannot be loaded")))?;
    let initialise = symbol(library, c"InitializeInjectionNvtx2").ok_or_else(|| {
        Unavailable::new(format!("`{shown}` has no function `InitializeInjectionNvtx2`"))
    })?;
    // SAFETY: the header gives this type for the name; the function is called once, with a table
    // function that lives as long as the program.
    let ready = unsafe {
        let initialise = std::mem::transmute::<*mut c_void, Initialise>(initialise);
        initialise(export_table)
    };
    let place = |index: usize| CORE[index].load(Ordering::Acquire);
    let (push, pop) = (place(RANGE_PUSH), place(RANGE_POP));
    if ready == 0 || push.is_null() || pop.is_null() {
        return Err(Unavailable::new(format!("`{shown}` does not listen to NVTX ranges")));
    }
    // SAFETY: neither is null, and these places are for functions of these types.
    Ok(unsafe { of_pointers(push, pop) })
}

/// The library of NVTX 2.
fn installed() -> Result<Functions, Unavailable> {
    let missing = || {
        Unavailable::new(format!(
            "no profiler is attached (`{INJECTION}` is not set) and `libnvToolsExt.so.1` cannot \
             be loaded"
        ))
    };
    let library = open(LIBRARY).ok_or_else(missing)?;
    let push = symbol(library, c"nvtxRangePushA").ok_or_else(missing)?;
    let pop = symbol(library, c"nvtxRangePop").ok_or_else(missing)?;
    // SAFETY: neither is null, and the header gives these types for the names.
    Ok(unsafe { of_pointers(push, pop) })
}

/// # Safety
/// The pointers are functions of the types `Push` and `Pop`.
unsafe fn of_pointers(push: *mut c_void, pop: *mut c_void) -> Functions {
    // SAFETY: by the caller's promise.
    unsafe {
        Functions {
            push: std::mem::transmute::<*mut c_void, Push>(push),
            pop: std::mem::transmute::<*mut c_void, Pop>(pop),
        }
    }
}

fn open(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name is a C string. Loading runs the library's initialisers; it is NVIDIA's, or
    // one the user has named for this purpose.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
    (!handle.is_null()).then_some(handle)
}

fn symbol(library: *mut c_void, name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the handle came from `dlopen` and is never closed.
    let symbol = unsafe { libc::dlsym(library, name.as_ptr()) };
    (!symbol.is_null()).then_some(symbol)
}
