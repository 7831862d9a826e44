//! The lines of C, C++ and Rust, where the file has them (DWARF).

use std::rc::Rc;

use addr2line::Context;
use gimli::{Dwarf, EndianRcSlice, LittleEndian};
use object::elf::FileHeader64;
use object::read::elf::ElfFile;
use object::{CompressionFormat, Object as _, ObjectSection as _};

use crate::bounded::Bounded;

type Bytes = EndianRcSlice<LittleEndian>;

/// Most functions that one place is inlined into.
const INLINED: usize = 64;

/// What one file tells of its lines.
pub(crate) struct Lines(Context<Bytes>);

/// One call at an address: function, file and line, each where it is known.
pub(crate) type Call = (Option<String>, Option<(String, u32)>);

impl Lines {
    pub(crate) fn read<'a>(
        elf: &ElfFile<'a, FileHeader64<object::LittleEndian>, &'a Bounded>,
    ) -> Option<Self> {
        elf.section_by_name(".debug_info")?;
        let section = |id: gimli::SectionId| {
            let section = elf.section_by_name(id.name());
            // Compressed ones are not read.
            let plain = section.filter(|section| {
                let range = section.compressed_file_range();
                range.is_ok_and(|range| range.format == CompressionFormat::None)
            });
            let data = plain.and_then(|section| section.data().ok());
            let data: Rc<[u8]> = data.unwrap_or_default().into();
            Ok::<_, gimli::Error>(EndianRcSlice::new(data, LittleEndian))
        };
        let dwarf = Dwarf::load(section).ok()?;
        Some(Self(Context::from_dwarf(dwarf).ok()?))
    }

    /// The calls at an address: the innermost function that is inlined there first.
    pub(crate) fn calls(&self, address: u64) -> Vec<Call> {
        let mut calls = Vec::new();
        let Ok(mut frames) = self.0.find_frames(address).skip_all_loads() else {
            return calls;
        };
        while let Ok(Some(frame)) = frames.next() {
            let function = frame.function.as_ref();
            let function = function.and_then(|name| Some(name.demangle().ok()?.into_owned()));
            let source = frame
                .location
                .and_then(|at| Some((at.file?.to_owned(), at.line.filter(|line| *line > 0)?)));
            calls.push((function, source));
            if calls.len() >= INLINED {
                break;
            }
        }
        calls
    }
}

/// A symbol as its language writes it.
pub(crate) fn demangled(symbol: &str) -> String {
    addr2line::demangle_auto(symbol.into(), None).into_owned()
}

/// Functions of C libraries that start a process, and the one that calls main: they are in the
/// program itself where it is linked statically.
const C_LIBRARY: [&str; 29] = [
    "_Fork",
    "_IO_new_popen",
    "_IO_new_proc_open",
    "_IO_popen",
    "_IO_proc_open",
    "__clone",
    "__clone3",
    "__clone_internal",
    "__fork",
    "__libc_fork",
    "__libc_start_call_main",
    "__libc_start_main",
    "__libc_system",
    "__libc_vfork",
    "__posix_spawn",
    "__posix_spawnp",
    "__spawni",
    "__spawnix",
    "__vfork",
    "_start",
    "clone",
    "clone3",
    "do_system",
    "fork",
    "popen",
    "posix_spawn",
    "posix_spawnp",
    "system",
    "vfork",
];

/// Whether a function or a file is of the standard library of C, C++ or Rust.
pub(crate) fn is_standard(function: Option<&str>, file: Option<&str>) -> bool {
    let function = function.unwrap_or_default().trim_start_matches('<');
    let mut crates = ["std::", "core::", "alloc::"].into_iter();
    crates.any(|standard| function.starts_with(standard))
        || file.is_some_and(|file| file.starts_with("/rustc/"))
        || C_LIBRARY.contains(&function)
}
