//! A static program of a few pages that starts another program and ends; `build.rs` compiles it.
//!
//! At `execve` the kernel carries the high-water mark of the memory left behind over to the new
//! program's accounts. A program started from a large process therefore seems as large as that
//! process; one started from here seems as large as this: some tens of kilobytes. The program
//! becomes a child of this process's parent (`CLONE_PARENT`), which waits for it as for its own.
//!
//! Arguments: the descriptor to report on, the number of paths to try, the paths, then the
//! program's own arguments. A report is two 32-bit numbers: what happened, and a process or error
//! number. The environment is handed on.

#![no_std]
#![no_main]

use core::arch::{asm, naked_asm};

/// The program has this process number.
const STARTED: u32 = 1;
/// No path could be executed, for this reason.
const NOT_EXECUTED: u32 = 2;
/// This process could not be copied, for this reason, and turns into the program itself.
const DIRECT: u32 = 3;

const ENOENT: isize = 2;
const ENOEXEC: isize = 8;
const EACCES: isize = 13;
/// ENODEV, ENOTDIR, ETIMEDOUT, ESTALE: the next folder may have the program.
const NEXT: [isize; 4] = [19, 20, 110, 116];
const CLONE_PARENT_SIGCHLD: usize = 0x8000 | 17;
const F_SETFD: usize = 2;
const FD_CLOEXEC: usize = 1;

#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const WRITE: usize = 1;
    pub(super) const CLONE: usize = 56;
    pub(super) const EXECVE: usize = 59;
    pub(super) const EXIT: usize = 60;
    pub(super) const FCNTL: usize = 72;
}
#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const WRITE: usize = 64;
    pub(super) const CLONE: usize = 220;
    pub(super) const EXECVE: usize = 221;
    pub(super) const EXIT: usize = 93;
    pub(super) const FCNTL: usize = 25;
}

/// Where the kernel enters the program: the stack holds the number of arguments and the arguments.
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("mov rdi, rsp", "and rsp, -16", "call {main}", "ud2", main = sym main);
    #[cfg(target_arch = "aarch64")]
    naked_asm!("mov x0, sp", "bl {main}", "brk #1", main = sym main);
}

/// # Safety
/// `stack` is what the kernel has put on the stack of a new program.
unsafe extern "C" fn main(stack: *mut usize) -> ! {
    // SAFETY: the count, the arguments, a null, the environment and a null follow each other.
    unsafe {
        let count = *stack;
        let words = stack.add(1);
        let environment = words.add(count + 1);
        if count < 4 {
            exit(127);
        }
        let (report, paths) = (decimal(*words.add(1)), decimal(*words.add(2)));
        if paths == 0 || paths + 4 > count {
            exit(127);
        }
        call(number::FCNTL, [report, F_SETFD, FD_CLOEXEC, 0, 0]);
        let child = call(number::CLONE, [CLONE_PARENT_SIGCHLD, 0, 0, 0, 0]);
        if child > 0 {
            tell(report, STARTED, child);
            exit(0);
        }
        if child < 0 {
            tell(report, DIRECT, -child);
        }
        let why = execute(words.add(3), paths, environment);
        tell(report, NOT_EXECUTED, why);
        exit(127)
    }
}

/// Tries the paths in turn as execvp(3) does; returns why none could be executed.
///
/// # Safety
/// The paths, the arguments and a null follow each other from `paths` on.
unsafe fn execute(paths: *mut usize, count: usize, environment: *mut usize) -> isize {
    const SHELL: &[u8; 8] = b"/bin/sh\0";
    let mut why = ENOENT;
    let mut is_denied = false;
    // SAFETY: as promised by the caller.
    unsafe {
        let arguments = paths.add(count);
        for n in 0..count {
            let path = *paths.add(n);
            why = -call(number::EXECVE, [path, arguments as usize, environment as usize, 0, 0]);
            if why == ENOEXEC {
                // A script without a first line that names its interpreter. The slots of the last
                // path and of the first argument are not needed any more.
                let shell = SHELL.as_ptr() as usize;
                *arguments.sub(1) = shell;
                *arguments = path;
                let arguments = arguments.sub(1) as usize;
                return -call(number::EXECVE, [shell, arguments, environment as usize, 0, 0]);
            }
            is_denied |= why == EACCES;
            if why != EACCES && why != ENOENT && !NEXT.contains(&why) {
                return why;
            }
        }
    }
    if is_denied { EACCES } else { why }
}

/// # Safety
/// `text` is the address of a string that ends with a zero.
unsafe fn decimal(text: usize) -> usize {
    let mut text = text as *const u8;
    let mut value = 0_usize;
    // SAFETY: read up to the zero at most.
    unsafe {
        while (*text).is_ascii_digit() {
            value = value.wrapping_mul(10).wrapping_add((*text - b'0') as usize);
            text = text.add(1);
        }
    }
    value
}

fn tell(report: usize, what: u32, number: isize) {
    let message = [what, number as u32];
    // SAFETY: eight bytes of a live array are read.
    unsafe { call(number::WRITE, [report, message.as_ptr() as usize, 8, 0, 0]) };
}

fn exit(code: usize) -> ! {
    loop {
        // SAFETY: ends the process.
        unsafe { call(number::EXIT, [code, 0, 0, 0, 0]) };
    }
}

/// # Safety
/// The arguments must be what the system call with this number takes.
unsafe fn call(number: usize, arguments: [usize; 5]) -> isize {
    let [a, b, c, d, e] = arguments;
    let result: isize;
    // SAFETY: the kernel keeps all registers but those named.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e,
        );
    }
    result
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(127)
}
