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

    /// The words of strerror(3) for what fork, exec, kill, open and write give.
    pub(crate) fn words(self) -> &'static [u8] {
        let mut lines = WORDS.split(|&byte| byte == b'\n');
        lines
            .find_map(|line| {
                let (number, words) = line.split_first()?;
                (i32::from(*number) == self.0).then_some(words)
            })
            .unwrap_or(b"Unexpected error")
    }
}

/// One text of lines that begin with the number as a byte: a table of texts has a pointer and a
/// length for each, which takes as much room again.
const WORDS: &[u8] = b"\x01Operation not permitted\n\
\x02No such file or directory\n\
\x03No such process\n\
\x05Input/output error\n\
\x06No such device or address\n\
\x07Argument list too long\n\
\x08Exec format error\n\
\x0bResource temporarily unavailable\n\
\x0cCannot allocate memory\n\
\x0dPermission denied\n\
\x14Not a directory\n\
\x15Is a directory\n\
\x16Invalid argument\n\
\x17Too many open files in system\n\
\x18Too many open files\n\
\x19Inappropriate ioctl for device\n\
\x1aText file busy\n\
\x1cNo space left on device\n\
\x1eRead-only file system\n\
\x20Broken pipe\n\
\x24File name too long\n\
\x26Function not implemented\n\
\x28Too many levels of symbolic links\n\
\x50Accessing a corrupted shared library";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_c_library() {
        for number in 1..=255 {
            let words = String::from_utf8_lossy(Errno(number).words()).into_owned();
            let theirs = std::io::Error::from_raw_os_error(number).to_string();
            assert!(
                theirs.starts_with(&words) || words == "Unexpected error",
                "{number}: {words:?} {theirs:?}"
            );
        }
        assert_eq!(Errno(1).words(), b"Operation not permitted");
        assert_eq!(Errno(80).words(), b"Accessing a corrupted shared library");
        assert_eq!(Errno(10).words(), b"Unexpected error");
    }
}
