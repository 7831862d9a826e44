//! From addresses to frames.

use std::collections::HashMap;

use sexton_scan::proc::Process;

use crate::image::Image;
use crate::maps::{self, Mapping};
use crate::{Error, lines};

/// Most files of code that are read of one process.
const IMAGES: usize = 64;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Function, where its name is known.
    pub function: Option<String>,
    /// File and line of the source, where known.
    pub source: Option<(String, u32)>,
    /// File of code, and the place in it.
    pub module: (String, u64),
    /// Whether it belongs to the standard library of its language.
    pub library: bool,
    /// Whether it surely called the frame before it: a function without a frame pointer hides its
    /// caller, and the caller of that stands in its place.
    pub certain: bool,
}

impl Frame {
    /// Whether both are the same place: one line, where lines are known, has many addresses.
    #[must_use]
    pub fn same_place(&self, other: &Self) -> bool {
        let address = self.source.is_some() || self.module.1 == other.module.1;
        (&self.function, &self.source, &self.module.0)
            == (&other.function, &other.source, &other.module.0)
            && address
    }
}

impl std::fmt::Display for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.source, &self.function) {
            (Some((file, line)), Some(function)) => write!(f, "{file}:{line} in {function}"),
            (_, Some(function)) => write!(f, "{function} in {}", self.module.0),
            _ => write!(f, "{}+{:#x}", self.module.0, self.module.1),
        }
    }
}

/// Names the addresses of one process. Files are opened as the process has them mapped.
pub struct Symbolizer<'a> {
    process: &'a Process,
    mappings: Vec<Mapping>,
    images: HashMap<(String, String), Option<Image>>,
}

impl<'a> Symbolizer<'a> {
    /// Reads what is mapped now.
    ///
    /// # Errors
    /// `/proc/PID/maps` cannot be read.
    pub fn new(process: &'a Process) -> Result<Self, Error> {
        Ok(Self {
            process,
            mappings: maps::read(process)?,
            images: HashMap::new(),
        })
    }

    /// The frames of a chain, the innermost first. An address in no file has none. `unwound`
    /// where each of the addresses is certain.
    pub fn chain(&mut self, addresses: &[u64], unwound: bool) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut certain = unwound;
        for address in addresses {
            // Each is where the call returns to: the call itself is before that.
            let address = address.checked_sub(1);
            let new = address.and_then(|address| self.frames(address));
            // What calls a thing that is not known does not stand for it.
            certain &= new.is_some();
            // The C library may be a part of the program: what starts children there is then not
            // told apart from what calls it, unless there are lines, or a name that is known.
            let unclear = |frame: &Frame| !frame.library && frame.source.is_none();
            if frames.is_empty() && new.iter().flatten().any(unclear) {
                certain = false;
            }
            for mut frame in new.unwrap_or_default() {
                frame.certain |= certain;
                frames.push(frame);
            }
        }
        frames
    }

    /// Those at one address: functions that are inlined there, and the one that they are in.
    fn frames(&mut self, address: u64) -> Option<Vec<Frame>> {
        let mapping = self
            .mappings
            .iter()
            .find(|m| (m.start..m.end).contains(&address))?;
        let offset = mapping.offset_of(address)?;
        let room = self.images.len() < IMAGES;
        if room && !self.images.contains_key(&mapping.file) {
            let file = self.process.open_file(&mapping.link()).ok().flatten();
            self.images
                .insert(mapping.file.clone(), file.and_then(Image::open));
        }
        let plain = Frame {
            function: None,
            source: None,
            module: (mapping.path.clone(), offset),
            library: is_c_library(&mapping.path),
            certain: false,
        };
        let image = self.images.get(&mapping.file).and_then(Option::as_ref);
        let Some((image, address)) = image.and_then(|i| Some((i, i.address(offset)?))) else {
            return Some(vec![plain]);
        };
        if let Some(line) = image.line(address) {
            return Some(vec![Frame {
                library: image.is_go_library(&line.file),
                function: Some(line.function),
                source: Some((line.file, line.line)),
                // Go keeps frame pointers in each function.
                certain: true,
                ..plain
            }]);
        }
        let symbol = image
            .symbol(address)
            .map(|(name, _)| lines::demangled(name));
        let mut calls = image.calls(address);
        if calls.is_empty() {
            calls.push((None, None));
        }
        let frame = |(function, source): lines::Call| {
            let function = function.or_else(|| symbol.clone());
            let file = source.as_ref().map(|(file, _)| file.as_str());
            Frame {
                library: plain.library || lines::is_standard(function.as_deref(), file),
                function,
                source,
                ..plain.clone()
            }
        };
        Some(calls.into_iter().map(frame).collect())
    }
}

fn is_c_library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    [
        "libc.",
        "libc-",
        "libpthread",
        "ld-linux",
        "ld-musl",
        "libstdc++",
    ]
    .iter()
    .any(|known| name.starts_with(known))
}
