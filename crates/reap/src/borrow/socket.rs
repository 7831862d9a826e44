//! Options of a socket, `socket(7)`.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;
use std::{io, mem};

use libc::{c_int, c_void, socklen_t};

/// `SO_RCVTIMEO` (`None`: no timeout) and `SO_RCVLOWAT`.
pub(crate) fn receive_options(socket: BorrowedFd<'_>) -> io::Result<(Option<Duration>, c_int)> {
    let timeout: libc::timeval = option(socket, libc::SO_RCVTIMEO)?;
    let low_water: c_int = option(socket, libc::SO_RCVLOWAT)?;
    let seconds = Duration::from_secs(timeout.tv_sec.unsigned_abs());
    let timeout = seconds.saturating_add(Duration::from_micros(timeout.tv_usec.unsigned_abs()));
    let timeout = (!timeout.is_zero()).then_some(timeout);
    Ok((timeout, low_water))
}

fn option<T: Copy>(socket: BorrowedFd<'_>, name: c_int) -> io::Result<T> {
    let mut value = mem::MaybeUninit::<T>::zeroed();
    let mut length = socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: `value` is valid for `length` bytes, and all its bytes are initialised whatever
    // the kernel writes. Both types that are asked for are plain integers.
    unsafe {
        let done = libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            value.as_mut_ptr().cast::<c_void>(),
            &raw mut length,
        );
        if done == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(value.assume_init())
    }
}
