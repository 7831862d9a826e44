//! Error numbers, and what they are called.

/// An error of the kernel (errno(3)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Errno(pub(crate) i32);

impl Errno {
    pub(crate) const ENOENT: Self = Self(2);
    pub(crate) const ESRCH: Self = Self(3);
    pub(crate) const ENOEXEC: Self = Self(8);
    pub(crate) const EAGAIN: Self = Self(11);
    pub(crate) const EACCES: Self = Self(13);
    pub(crate) const ENOTDIR: Self = Self(20);
    pub(crate) const ENAMETOOLONG: Self = Self(36);
    pub(crate) const ESTALE: Self = Self(116);
    pub(crate) const ENODEV: Self = Self(19);
    pub(crate) const ETIMEDOUT: Self = Self(110);

    /// Splits the kernel's answer: from −4095 to −1 it is an error.
    #[inline(always)]
    pub(crate) fn check(answer: isize) -> Result<usize, Self> {
        if (-4095..0).contains(&answer) {
            Err(Self(i32::try_from(-answer).unwrap_or(0)))
        } else {
            Ok(answer.cast_unsigned())
        }
    }

    /// The words of strerror(3) for what fork, exec and open give.
    pub(crate) fn words(self) -> &'static str {
        match self.0 {
            1 => "Operation not permitted",
            2 => "No such file or directory",
            3 => "No such process",
            5 => "Input/output error",
            6 => "No such device or address",
            7 => "Argument list too long",
            8 => "Exec format error",
            11 => "Resource temporarily unavailable",
            12 => "Cannot allocate memory",
            13 => "Permission denied",
            20 => "Not a directory",
            21 => "Is a directory",
            22 => "Invalid argument",
            23 => "Too many open files in system",
            24 => "Too many open files",
            25 => "Inappropriate ioctl for device",
            26 => "Text file busy",
            28 => "No space left on device",
            30 => "Read-only file system",
            32 => "Broken pipe",
            36 => "File name too long",
            38 => "Function not implemented",
            40 => "Too many levels of symbolic links",
            80 => "Accessing a corrupted shared library",
            _ => "Unexpected error",
        }
    }
}
