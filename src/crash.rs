//! Words for a crash of the shipped binaries, in which a panic has none: a panic there is one instruction that stops the
//! program (SIGILL), where its message and all that leads up to it would be a tenth of the binary (`.ci/static`).
#![allow(unsafe_code, reason = "what a signal says of its place can be read no other way")]

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

use signal_hook::consts::SIGILL;
use signal_hook::low_level::emulate_default_handler;

/// From now on a crash is said on standard error, with its address for whoever has the symbols; the process still dies of its
/// signal, so shells and core dumps see what happened.
pub fn tell() {
    // SAFETY: the handler allocates nothing, takes no lock, and calls only dup, write, close and what `signal_hook` declares
    // fit for handlers; `si_addr` is read for the signals of the kernel, which all fill it in.
    let handled = unsafe {
        signal_hook_registry::register_unchecked(SIGILL, |info| {
            say((info.si_code > 0).then(|| info.si_addr() as usize));
            let _ = emulate_default_handler(SIGILL);
        })
    };
    // Where that fails, the shell's word for the signal remains.
    drop(handled);
}

/// Says it in one write.
fn say(address: Option<usize>) {
    let mut line = Line { bytes: [0; 256], length: 0 };
    line.add(b"error: internal error");
    if let Some(address) = address {
        line.add(b" at 0x");
        for nibble in (0..usize::BITS / 4).rev().map(|nth| address >> (4 * nth)).skip_while(|rest| *rest == 0) {
            line.add(&[b"0123456789abcdef"[nibble & 15]]);
        }
    }
    line.add(concat!(": a defect of kubectl-kubelet_logs ", env!("CARGO_PKG_VERSION")).as_bytes());
    line.add(b"; please report this line and the command\n");
    let _ = std::io::stderr()
        .as_fd()
        .try_clone_to_owned()
        .map(|stderr| File::from(stderr).write_all(&line.bytes[..line.length]));
}

/// A line put together without allocating.
struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Line {
    fn add(&mut self, more: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.length..self.length + more.len()) {
            room.copy_from_slice(more);
            self.length += more.len();
        }
    }
}
