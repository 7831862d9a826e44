//! One mapping of another process, asked for by its address: `PROCMAP_QUERY` of
//! `/proc/PID/maps` (`linux/fs.h`), since Linux 6.11. To read the whole list takes milliseconds
//! where it is long, and a thread of the holder stands still meanwhile.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use libc::c_ulong;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// As in `maps`.
    pub(crate) rights: [u8; 4],
    /// Its name, with a zero after it; zeros for one without.
    pub(crate) name: [u8; 8],
}

/// `struct procmap_query`, as of its first version.
#[repr(C)]
#[derive(Default)]
struct Query {
    size: u64,
    flags: u64,
    address: u64,
    start: u64,
    end: u64,
    vma_flags: u64,
    page_size: u64,
    offset: u64,
    inode: u64,
    device: [u32; 2],
    name_size: u32,
    build_id_size: u32,
    name: u64,
    build_id: u64,
}

/// The mapping of the program of `maps` that holds `address`; `None` where there is none with so
/// short a name, or where that program has ended.
///
/// # Errors
/// The kernel has no such request.
pub(crate) fn at(maps: &File, address: u64) -> io::Result<Option<Mapping>> {
    // _IOWR('f', 17, struct procmap_query)
    const SIZE: c_ulong = size_of::<Query>() as c_ulong;
    const PROCMAP_QUERY: c_ulong = (3 << 30) | (SIZE << 16) | (0x66 << 8) | 17;
    let mut name = [0_u8; 8];
    let mut query = Query {
        size: SIZE,
        address,
        name_size: 8,
        name: name.as_mut_ptr() as u64,
        ..Query::default()
    };
    // SAFETY: `query` is as long as it says, and `name` is valid for as many bytes as it says;
    // both outlive the call.
    let done = unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY, &raw mut query) };
    if done == -1 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ENOTTY | libc::EINVAL | libc::ENOSYS) => Err(error),
            _ => Ok(None),
        };
    }
    // PROCMAP_QUERY_VMA_*
    let right = |bit: u64, letter: u8| {
        if query.vma_flags & bit == 0 {
            b'-'
        } else {
            letter
        }
    };
    let shared = query.vma_flags & 8 != 0;
    Ok(Some(Mapping {
        start: query.start,
        end: query.end,
        rights: [
            right(1, b'r'),
            right(2, b'w'),
            right(4, b'x'),
            if shared { b's' } else { b'p' },
        ],
        name,
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn our_own_vdso_is_as_the_list_shows_it() {
        let list = fs::read_to_string("/proc/self/maps").unwrap();
        let line = list.lines().find(|line| line.ends_with(" [vdso]")).unwrap();
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let (start, end) = (
            u64::from_str_radix(start, 16).unwrap(),
            u64::from_str_radix(end, 16).unwrap(),
        );
        let maps = File::open("/proc/self/maps").unwrap();
        match at(&maps, start) {
            Ok(mapping) => {
                let mapping = mapping.unwrap();
                assert_eq!((mapping.start, mapping.end), (start, end));
                assert_eq!(&mapping.rights, &rest.as_bytes()[..4]);
                assert_eq!(&mapping.name, b"[vdso]\0\0");
                assert_eq!(at(&maps, 0).unwrap(), None);
            }
            Err(error) => println!("SKIP: this kernel has no PROCMAP_QUERY ({error})"),
        }
    }
}
