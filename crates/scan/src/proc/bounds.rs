//! How much of what others wrote is read. Whoever owns a process decides how long its files
//! are: `PR_SET_MM_MAP` makes a command line of a TiB, and needs no capability.
//!
//! What is looked through in pieces may be long; what is held in memory is short.

/// Bytes of a file of `/proc` that is held whole. The longest is `status`: 65,536 supplementary
/// groups (`NGROUPS_MAX`) take 720 KiB.
pub(crate) const FILE: usize = 1 << 20;
/// Bytes of a list of pids or threads. There are 4,194,304 at most (`PID_MAX_LIMIT`).
pub(crate) const PIDS: usize = 32 << 20;
/// Bytes of a command line that are kept, as many as Linux told before 4.2.
pub(crate) const COMMAND_LINE: usize = 4 << 10;
/// Bytes of all command lines of one report together; each holder has an equal share.
pub(crate) const COMMAND_LINES: usize = 1 << 20;
/// Bytes of a command line that are kept however many holders there are.
pub(crate) const COMMAND_LINE_LEAST: usize = 256;
/// Arguments of a command line that are kept: an empty one takes a byte there, and 24 here.
pub(crate) const ARGUMENTS: usize = 256;
/// Bytes of one line of a file that is read line by line (`maps`); more is cut off. The kernel
/// gives a path of a page at most, and four bytes for a byte that it has to escape.
pub(crate) const LINE: usize = 20 << 10;
/// Bytes of a file that is read line by line; more is an error, since what is looked for may
/// stand in the rest. 65,530 mappings (`vm.max_map_count`) of files with paths of a page fill
/// half of it.
pub(crate) const LINES: u64 = 512 << 20;
/// Bytes of an environment that are looked through.
pub(crate) const ENVIRONMENT: u64 = 4 << 20;
/// Bytes of what `fdinfo` says of one open file. An epoll instance has a line a watched file;
/// what is of interest stands at the beginning.
pub(crate) const FILE_INFO: usize = 4 << 10;
/// Open files that are looked at.
pub(crate) const OPEN_FILES: usize = 1 << 10;
/// Bytes of all paths of a cgroup tree together.
pub(crate) const CGROUP_PATHS: usize = 8 << 20;
/// Sections of an ELF file; Node.js, with its debug sections, has 45.
pub(crate) const ELF_SECTIONS: u64 = 4096;
/// Bytes of the names of an ELF file's sections.
pub(crate) const ELF_NAMES: u64 = 256 << 10;
/// Bytes of a section of an ELF file that are looked through; Node's dynamic names are 8 MiB.
pub(crate) const ELF_SEARCHED: u64 = 64 << 20;
/// Bytes of a file that a runtime left on the node.
pub(crate) const RUNTIME_FILE: u64 = 4 << 20;
