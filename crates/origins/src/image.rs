//! One file of code: what its addresses are called.

use std::fs::File;

use object::elf::{FileHeader64, PF_X};
use object::read::elf::ElfFile;
use object::{
    LittleEndian, Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _,
    SegmentFlags, SymbolKind,
};

use crate::bounded::Bounded;
use crate::lines::{Call, Lines};
use crate::maps::Mapping;
use crate::pclntab::{Line, Pclntab};

/// Most symbols that are kept.
const SYMBOLS: usize = 1 << 20;
/// Most bytes of all names together: a hostile file can let many symbols share one long name.
const NAMES: usize = 64 << 20;

/// A part of the file that is loaded: where it lies there, and at which address.
pub(crate) struct Segment {
    offset: u64,
    size: u64,
    address: u64,
}

struct Symbol {
    address: u64,
    size: u64,
    name: String,
}

/// What is known of one file.
pub(crate) struct Image {
    segments: Vec<Segment>,
    symbols: Vec<Symbol>,
    go: Option<(Pclntab, Option<String>)>,
    lines: Option<Lines>,
}

impl Image {
    pub(crate) fn open(file: File) -> Option<Self> {
        let bytes = Bounded::new(file);
        let elf = ElfFile::<FileHeader64<LittleEndian>, _>::parse(&bytes).ok()?;
        let mut room = NAMES;
        let mut symbols: Vec<_> = elf
            .symbols()
            .chain(elf.dynamic_symbols())
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.address() != 0)
            .take(SYMBOLS)
            .filter_map(|symbol| {
                let name = symbol.name().ok()?;
                room = room.checked_sub(name.len())?;
                Some(Symbol {
                    address: symbol.address(),
                    size: symbol.size(),
                    name: name.to_owned(),
                })
            })
            .collect();
        symbols.sort_by_key(|symbol| symbol.address);
        let text = elf
            .section_by_name(".text")
            .map_or(0, |section| section.address());
        let go = elf
            .sections()
            .find(|section| {
                section
                    .name()
                    .is_ok_and(|name| name.ends_with(".gopclntab"))
            })
            .and_then(|section| Pclntab::new(section.data().ok()?.to_vec(), text))
            .map(|table| {
                let runtime = table.file_of("runtime.main");
                let root =
                    runtime.and_then(|f| f.strip_suffix("runtime/proc.go").map(str::to_owned));
                (table, root)
            });
        Some(Self {
            segments: segments(&elf),
            symbols,
            go,
            lines: Lines::read(&elf),
        })
    }

    /// The address that the file itself gives to this place in it.
    pub(crate) fn address(&self, offset: u64) -> Option<u64> {
        address(&self.segments, offset)
    }

    /// The calls at an address, by DWARF.
    pub(crate) fn calls(&self, address: u64) -> Vec<Call> {
        let lines = self.lines.as_ref();
        lines.map_or_else(Vec::new, |lines| lines.calls(address))
    }

    pub(crate) fn is_go(&self) -> bool {
        self.go.is_some()
    }

    pub(crate) fn line(&self, address: u64) -> Option<Line> {
        self.go.as_ref()?.0.find(address)
    }

    /// Whether a file of Go's is one of the standard library; unknown is no.
    pub(crate) fn is_go_library(&self, file: &str) -> bool {
        let root = self.go.as_ref().and_then(|(_, root)| root.as_deref());
        match root {
            // Built with -trimpath: the first part of the path is that of the package.
            Some("") => file.split('/').next().is_some_and(|top| GO.contains(&top)),
            Some(root) => file.starts_with(root),
            None => false,
        }
    }

    /// Symbol, and how far into it.
    pub(crate) fn symbol(&self, address: u64) -> Option<(&str, u64)> {
        let after = self
            .symbols
            .partition_point(|symbol| symbol.address <= address);
        let symbol = self.symbols.get(after.checked_sub(1)?)?;
        let into = address.checked_sub(symbol.address)?;
        (into < symbol.size).then_some((symbol.name.as_str(), into))
    }
}

/// The parts of a file that are loaded.
pub(crate) fn segments<'a>(
    elf: &ElfFile<'a, FileHeader64<LittleEndian>, &'a Bounded>,
) -> Vec<Segment> {
    let segment = |segment: object::read::elf::ElfSegment<'a, '_, _, &'a Bounded>| {
        let (offset, size) = segment.file_range();
        Segment {
            offset,
            size,
            address: segment.address(),
        }
    };
    elf.segments().map(segment).collect()
}

/// The address that a file gives to this place in it.
pub(crate) fn address(segments: &[Segment], offset: u64) -> Option<u64> {
    segments.iter().find_map(|segment| {
        let into = offset.checked_sub(segment.offset)?;
        (into < segment.size).then(|| segment.address.checked_add(into))?
    })
}

/// Where data of these names is in memory, once a part of the file is mapped as code like this.
pub(crate) fn data<const N: usize>(
    file: File,
    mapping: &Mapping,
    names: [&[u8]; N],
) -> Option<[u64; N]> {
    let bytes = Bounded::new(file);
    let elf = ElfFile::<FileHeader64<LittleEndian>, _>::parse(&bytes).ok()?;
    let length = mapping.end.checked_sub(mapping.start)?;
    let mapped = mapping.offset..mapping.offset.checked_add(length)?;
    // What is mapped begins with a page, a segment anywhere in it.
    let code = elf.segments().find(|segment| {
        let is_code =
            matches!(segment.flags(), SegmentFlags::Elf { p_flags } if p_flags & PF_X != 0);
        let (offset, size) = segment.file_range();
        is_code && offset < mapped.end && mapped.start < offset.saturating_add(size)
    })?;
    let (offset, _) = code.file_range();
    let loaded = (mapping.start.wrapping_sub(mapping.offset))
        .wrapping_add(offset)
        .wrapping_sub(code.address());
    let mut found = [None; N];
    for symbol in elf.dynamic_symbols().chain(elf.symbols()).take(SYMBOLS) {
        if symbol.kind() != SymbolKind::Data || symbol.address() == 0 {
            continue;
        }
        let name = symbol.name_bytes().unwrap_or_default();
        if let Some((_, found)) = names.iter().zip(&mut found).find(|(n, _)| **n == name) {
            *found = Some(loaded.wrapping_add(symbol.address()));
        }
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    let places: Vec<u64> = found.into_iter().flatten().collect();
    places.try_into().ok()
}

/// Directories of Go's standard library that can start a process or call what does.
const GO: [&str; 14] = [
    "context", "internal", "net", "os", "plugin", "reflect", "runtime", "sync", "syscall",
    "testing", "time", "vendor", "io", "log",
];
