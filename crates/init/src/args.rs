//! Arguments and environment as the kernel passes them, and the way options are read.
//!
//! Options end at the first word that is none, or after `--`. A command's own options are
//! never looked at.

use core::ffi::CStr;

/// An array of C strings that the kernel put above the stack: arguments or environment.
#[derive(Clone, Copy)]
pub(crate) struct Strings<'a> {
    first: *const *const u8,
    length: usize,
    life: core::marker::PhantomData<&'a CStr>,
}

impl<'a> Strings<'a> {
    /// # Safety
    /// `first` is an array of `length` C strings with a null pointer behind, all of which
    /// live as long as `'a`.
    pub(crate) unsafe fn new(first: *const *const u8, length: usize) -> Self {
        Self {
            first,
            length,
            life: core::marker::PhantomData,
        }
    }

    /// As `new`, for an array whose length is known only by the null pointer behind it.
    ///
    /// # Safety
    /// As for `new`.
    pub(crate) unsafe fn until_null(first: *const *const u8) -> Self {
        let mut length = 0;
        // SAFETY: the array is read up to its null pointer, and no further.
        while !unsafe { first.add(length).read() }.is_null() {
            length += 1;
        }
        // SAFETY: the caller's promise, with the length just counted.
        unsafe { Self::new(first, length) }
    }

    pub(crate) fn get(self, index: usize) -> Option<&'a CStr> {
        (index < self.length).then(|| {
            // SAFETY: below the length there are valid C strings that live for 'a.
            unsafe { CStr::from_ptr(self.first.add(index).read().cast()) }
        })
    }

    /// Pointers from `index` on, for execve.
    pub(crate) fn pointer(self, index: usize) -> *const *const u8 {
        // The null pointer behind the array is part of it.
        self.first.wrapping_add(index.min(self.length))
    }

    /// Replaces one entry. Only a child that is about to exec does this.
    ///
    /// # Safety
    /// The text must live until execve, and no reference to the entry may be in use.
    pub(crate) unsafe fn replace(self, index: usize, text: *const u8) {
        if index < self.length {
            // SAFETY: within the array; the kernel gives the stack to us to write.
            unsafe { self.first.cast_mut().add(index).write(text) };
        }
    }

    /// A variable of the environment: its index and value.
    pub(crate) fn variable(self, name: &[u8]) -> Option<(usize, &'a CStr)> {
        (0..self.length).find_map(|index| {
            let entry = self.get(index)?;
            let rest = entry.to_bytes().strip_prefix(name)?;
            (rest.first() == Some(&b'=')).then(|| (index, tail(entry, name.len() + 1)))
        })
    }

    pub(crate) fn value(self, name: &[u8]) -> Option<&'a CStr> {
        self.variable(name).map(|(_, value)| value)
    }
}

/// The text from byte `from` on.
pub(crate) fn tail(text: &CStr, from: usize) -> &CStr {
    let bytes = text.to_bytes_with_nul();
    bytes
        .get(from..)
        .and_then(|rest| CStr::from_bytes_until_nul(rest).ok())
        .unwrap_or(c"")
}

/// Whether an option takes a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    No,
    Yes,
    /// Only in the form `--name=value`.
    Attached,
}

/// One option: its letter (or any code, if it has a long name only), its long name, its value.
pub(crate) struct Spec(pub(crate) u8, pub(crate) &'static str, pub(crate) Value);

/// What is wrong with an option, in the words of the one who typed it.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) struct Invalid<'a> {
    pub(crate) option: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) why: &'static str,
}

/// Reads options one after the other.
pub(crate) struct Reader<'a> {
    words: Strings<'a>,
    specs: &'static [Spec],
    next: usize,
    /// The rest of a word of short options, such as `vg` of `-svg`.
    cluster: &'a CStr,
    /// Take `--verb` for `--verbose`, as getopt_long(3) does.
    abbreviations: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(words: Strings<'a>, specs: &'static [Spec]) -> Self {
        Self {
            words,
            specs,
            next: 1,
            cluster: c"",
            abbreviations: false,
        }
    }

    pub(crate) fn with_abbreviations(words: Strings<'a>, specs: &'static [Spec]) -> Self {
        Self {
            abbreviations: true,
            ..Self::new(words, specs)
        }
    }

    /// The next option's letter and value; `None` at the end of the options.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, Option<&'a CStr>)>, Invalid<'a>> {
        if !self.cluster.is_empty() {
            return self.short().map(Some);
        }
        let Some(word) = self.words.get(self.next) else {
            return Ok(None);
        };
        match word.to_bytes() {
            b"--" => {
                self.next += 1;
                Ok(None)
            }
            [b'-', b'-', ..] => {
                self.next += 1;
                self.long(tail(word, 2)).map(Some)
            }
            [b'-', _, ..] => {
                self.next += 1;
                self.cluster = tail(word, 1);
                self.short().map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Where the command is, once the options have ended; `None`: there is none.
    pub(crate) fn command(&self) -> Option<usize> {
        self.words.get(self.next).map(|_| self.next)
    }

    fn short(&mut self) -> Result<(u8, Option<&'a CStr>), Invalid<'a>> {
        let word = self.cluster;
        let option = word.to_bytes().get(..1).unwrap_or_default();
        let letter = option.first().copied().unwrap_or(0);
        self.cluster = tail(word, 1);
        match self
            .specs
            .iter()
            .find(|spec| spec.0 == letter && letter.is_ascii_alphanumeric())
        {
            None => Err(Invalid {
                option,
                value: b"",
                why: "is not an option",
            }),
            Some(Spec(_, _, Value::Yes)) => {
                let attached = core::mem::take(&mut self.cluster);
                let value = if attached.is_empty() {
                    self.word()
                } else {
                    Some(attached)
                };
                match value {
                    Some(value) => Ok((letter, Some(value))),
                    None => Err(Invalid {
                        option,
                        value: b"",
                        why: "needs a value",
                    }),
                }
            }
            Some(_) => Ok((letter, None)),
        }
    }

    fn long(&mut self, word: &'a CStr) -> Result<(u8, Option<&'a CStr>), Invalid<'a>> {
        let bytes = word.to_bytes();
        let equals = bytes.iter().position(|&byte| byte == b'=');
        let option = bytes
            .get(..equals.unwrap_or(bytes.len()))
            .unwrap_or_default();
        let attached = equals.map(|at| tail(word, at + 1));
        let invalid = |why| Invalid {
            option,
            value: b"",
            why,
        };
        let Some(Spec(letter, _, takes)) = self.find(option) else {
            return Err(invalid("is not an option"));
        };
        match (takes, attached) {
            (Value::No, Some(_)) => Err(invalid("takes no value")),
            (Value::Yes, None) => match self.word() {
                Some(value) => Ok((*letter, Some(value))),
                None => Err(invalid("needs a value")),
            },
            (_, attached) => Ok((*letter, attached)),
        }
    }

    fn find(&self, option: &[u8]) -> Option<&'static Spec> {
        let exact = self
            .specs
            .iter()
            .find(|spec| !option.is_empty() && spec.1.as_bytes() == option);
        if exact.is_some() || !self.abbreviations || option.is_empty() {
            return exact;
        }
        let mut fitting = self
            .specs
            .iter()
            .filter(|spec| spec.1.as_bytes().starts_with(option));
        fitting.next().filter(|_| fitting.next().is_none())
    }

    fn word(&mut self) -> Option<&'a CStr> {
        let word = self.words.get(self.next)?;
        self.next += 1;
        Some(word)
    }
}
