//! Just enough of io_uring(7): one timeout, to be waited for.

use std::{io, ptr};

const SETUP: i64 = libc::SYS_io_uring_setup;
const OFFSET_SQ: i64 = 0;
const OFFSET_SQES: i64 = 0x1000_0000;
const TIMEOUT: u8 = 11;

/// A ring whose queues are mapped as one, as kernels since 5.4 do.
pub(crate) struct Ring {
    pub(crate) fd: i32,
    queues: *mut u8,
    entries: *mut u8,
    sq_tail: u32,
    sq_mask: u32,
    sq_array: u32,
    cq_head: u32,
    cq_tail: u32,
}

impl Ring {
    pub(crate) fn new() -> io::Result<Self> {
        // struct io_uring_params: 120 bytes; the offsets begin at 40 and 80.
        let mut params = [0u32; 30];
        // SAFETY: the structure is as large as the kernel's and the mappings are checked.
        unsafe {
            let fd = libc::syscall(SETUP, 8, params.as_mut_ptr());
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            let fd = fd as i32;
            let map = |length: usize, offset: i64| {
                let at = libc::mmap(
                    ptr::null_mut(),
                    length,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_SHARED | libc::MAP_POPULATE,
                    fd,
                    offset,
                );
                if at == libc::MAP_FAILED {
                    return Err(io::Error::last_os_error());
                }
                Ok(at.cast::<u8>())
            };
            let queues = map(4096, OFFSET_SQ)?;
            let entries = map(4096, OFFSET_SQES)?;
            Ok(Self {
                fd,
                queues,
                entries,
                sq_tail: params[11],
                sq_mask: params[12],
                sq_array: params[16],
                cq_head: params[20],
                cq_tail: params[21],
            })
        }
    }

    /// Puts a timeout into the queue; `io_uring_enter` has to submit it.
    pub(crate) fn push_timeout(&mut self, timespec: *const libc::timespec) {
        // SAFETY: all within the mapped pages; this thread alone uses the ring.
        unsafe {
            let tail = self.queues.add(self.sq_tail as usize).cast::<u32>();
            let mask = *self.queues.add(self.sq_mask as usize).cast::<u32>();
            let index = *tail & mask;
            let entry = self.entries.add(64 * index as usize);
            ptr::write_bytes(entry, 0, 64);
            *entry = TIMEOUT;
            *entry.add(16).cast::<u64>() = timespec as u64;
            *entry.add(24).cast::<u32>() = 1;
            *self
                .queues
                .add(self.sq_array as usize + 4 * index as usize)
                .cast::<u32>() = index;
            std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
            *tail = tail.read().wrapping_add(1);
        }
    }

    /// Takes every completion; how many there were.
    pub(crate) fn drain(&mut self) -> u32 {
        // SAFETY: as above.
        unsafe {
            let head = self.queues.add(self.cq_head as usize).cast::<u32>();
            let tail = self
                .queues
                .add(self.cq_tail as usize)
                .cast::<u32>()
                .read_volatile();
            let count = tail.wrapping_sub(*head);
            *head = tail;
            count
        }
    }
}
