//! How much of what others wrote is read. Whoever owns a process decides how long its files
//! are: `PR_SET_MM_MAP` makes a command line of a TiB, and needs no capability.

/// Bytes of one line of a file that is read line by line (`maps`); more is cut off. The kernel
/// gives a path of a page at most, and four bytes for a byte that it has to escape.
pub(crate) const LINE: usize = 20 << 10;
/// Bytes of a file that is read line by line; more is an error, since what is looked for may
/// stand in the rest. 65,530 mappings (`vm.max_map_count`) of files with paths of a page fill it.
pub(crate) const LINES: u64 = 512 << 20;
