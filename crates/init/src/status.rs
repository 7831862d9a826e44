//! How processes ended: the main one, and the rest.

/// What waiting for a child can tell (wait(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Exited(u8),
    Killed { signal: u8, core: bool },
    Stopped(u8),
}

impl Status {
    pub(crate) fn from_wait(status: i32) -> Self {
        let [low, high, ..] = status.to_le_bytes();
        match low & 0x7f {
            0 => Self::Exited(high),
            0x7f => Self::Stopped(high),
            signal => Self::Killed {
                signal,
                core: low & 0x80 != 0,
            },
        }
    }

    /// The exit code that a shell would give: 128 + n for a signal.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Killed { signal, .. } | Self::Stopped(signal) => 128 | signal,
        }
    }
}

/// How it went with the rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rest {
    /// There was none.
    Nobody,
    /// It was left alone.
    Left,
    /// It ended when asked.
    Ended,
    /// It had to be killed.
    Killed,
    /// It did not die even so: it sleeps in the kernel, or is another user's.
    Remains,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_statuses_are_those_of_libc() {
        for status in [0, 0x100, 0xff00, 9, 15, 139, 0x137f, 0x147f, 64] {
            let expected = if libc::WIFEXITED(status) {
                Status::Exited(u8::try_from(libc::WEXITSTATUS(status)).unwrap())
            } else if libc::WIFSTOPPED(status) {
                Status::Stopped(u8::try_from(libc::WSTOPSIG(status)).unwrap())
            } else {
                let signal = u8::try_from(libc::WTERMSIG(status)).unwrap();
                Status::Killed {
                    signal,
                    core: libc::WCOREDUMP(status),
                }
            };
            assert_eq!(Status::from_wait(status), expected, "{status:#x}");
        }
        assert_eq!(Status::from_wait(64).code(), 192);
        assert_eq!(Status::from_wait(15).code(), 143);
    }
}
