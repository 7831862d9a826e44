//! From addresses to frames.

use std::collections::HashMap;

use sexton_scan::proc::Process;

use crate::image::Image;
use crate::maps::{self, Mapping};
use crate::{Error, Line};

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

    /// The frames of a chain, the innermost first. An address in no file has none.
    pub fn chain(&mut self, addresses: &[u64]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for address in addresses {
            // Each is where the call returns to: the call itself is before that.
            frames.extend(
                address
                    .checked_sub(1)
                    .and_then(|address| self.frame(address)),
            );
        }
        frames
    }

    fn frame(&mut self, address: u64) -> Option<Frame> {
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
        };
        let Some(Some(image)) = self.images.get(&mapping.file) else {
            return Some(plain);
        };
        let Some(address) = image.address(offset) else {
            return Some(plain);
        };
        if let Some(Line {
            function,
            file,
            line,
        }) = image.line(address)
        {
            let library = image.is_go_library(&file);
            return Some(Frame {
                function: Some(function),
                source: Some((file, line)),
                library,
                ..plain
            });
        }
        let function = image.symbol(address).map(|(name, _)| name.to_owned());
        Some(Frame { function, ..plain })
    }
}

fn is_c_library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    ["libc.", "libc-", "libpthread", "ld-linux", "ld-musl"]
        .iter()
        .any(|known| name.starts_with(known))
}
