//! Where CPython 3.11 keeps what is read of it, in bytes: from the headers of its package
//! (`offsetof`), for 64-bit machines. Other versions differ.

/// `PY_VERSION_HEX` without the patch level.
pub(super) const VERSION: u64 = 0x030b;

/// `_PyRuntimeState.interpreters.head`
pub(super) const INTERPRETERS: u64 = 40;
/// `PyInterpreterState.next`
pub(super) const NEXT_INTERPRETER: u64 = 0;
/// `PyInterpreterState.threads.head`
pub(super) const THREADS: u64 = 16;

/// `PyThreadState.next`
pub(super) const NEXT_THREAD: u64 = 8;
/// `PyThreadState.cframe`
pub(super) const CFRAME: u64 = 56;
/// `PyThreadState.native_thread_id`
pub(super) const THREAD_ID: u64 = 160;
/// `_PyCFrame.current_frame`
pub(super) const CURRENT_FRAME: u64 = 8;

/// `_PyInterpreterFrame.f_code`; `previous` and `prev_instr` follow.
pub(super) const FRAME: u64 = 32;
pub(super) const FRAME_SIZE: usize = 32;
pub(super) const FRAME_CODE: usize = 0;
pub(super) const FRAME_PREVIOUS: usize = 16;
pub(super) const FRAME_INSTRUCTION: usize = 24;

/// `PyCodeObject.co_firstlineno`; the names and the table of lines follow.
pub(super) const CODE: u64 = 72;
pub(super) const CODE_SIZE: usize = 72;
pub(super) const CODE_FIRST_LINE: usize = 0;
pub(super) const CODE_FILE: usize = 40;
pub(super) const CODE_NAME: usize = 56;
pub(super) const CODE_LINES: usize = 64;
/// `PyCodeObject.co_code_adaptive`: the instructions, two bytes each.
pub(super) const INSTRUCTIONS: u64 = 184;

/// `ob_size` of bytes, `length` of a string.
pub(super) const LENGTH: u64 = 16;
/// `PyBytesObject.ob_sval`
pub(super) const BYTES: u64 = 32;
/// `PyASCIIObject.state`
pub(super) const STATE: u64 = 32;
/// Where the letters are: of a string that is all ASCII, and of another one.
pub(super) const ASCII: u64 = 48;
pub(super) const COMPACT: u64 = 72;
