//! What a program is written in: asked of its executable and its mappings, since names lie.

use std::fs::File;
use std::ops::ControlFlow;

use sexton_core::Holder;
use sexton_core::cause::{Answer, First, Language, Program, called_as, is_shell, kind_of_first};

use super::elf::Elf;
use crate::notes::Notes;
use crate::proc::Process;

/// Sections that only one toolchain writes.
const SECTIONS: &[(&str, Language)] = &[
    (".go.buildinfo", Language::Go),
    (".note.go.buildid", Language::Go),
];

/// Functions that an interpreter's executable has in its table of dynamic names, because it
/// calls them in its library, or offers them to its extensions.
const SYMBOLS: [(&str, Language); 10] = [
    ("Py_BytesMain", Language::Python),
    ("Py_RunMain", Language::Python),
    ("Py_Main", Language::Python),
    ("node_module_register", Language::Node),
    ("_ZN4node5StartEiPPc", Language::Node),
    ("JLI_Launch", Language::Java),
    ("ruby_run_node", Language::Ruby),
    ("perl_parse", Language::Perl),
    ("php_request_startup", Language::Php),
    ("enif_alloc", Language::Erlang),
];

/// Libraries of runtimes, by the beginning of their names.
const LIBRARIES: &[(&str, Language)] = &[
    ("libjvm.so", Language::Java),
    ("libnode.so", Language::Node),
    ("libpython", Language::Python),
    ("libruby", Language::Ruby),
    ("libcoreclr.so", Language::DotNet),
    ("libphp", Language::Php),
    ("libperl.so", Language::Perl),
];

/// Recognises the holder's program. The second value is `false` for a 32-bit program, whose
/// system calls have numbers of their own.
pub(crate) fn recognise(process: &Process, holder: &Holder, notes: &mut Notes) -> (Program, bool) {
    let file = notes.take(process.open_file("exe"));
    let elf = file.as_ref().and_then(Elf::read);
    let native = elf.as_ref().is_none_or(|elf| elf.is_64_bit);
    (
        language_of(process, holder, file.as_ref().zip(elf.as_ref()), notes),
        native,
    )
}

fn language_of(
    process: &Process,
    holder: &Holder,
    executable: Option<(&File, &Elf)>,
    notes: &mut Notes,
) -> Program {
    let pid = process.pid();
    let path = holder.executable.as_deref().unwrap_or("?");
    let name = base_name(path);
    // A shell is known by its file; of busybox the applet decides.
    let (called, _) =
        called_as(holder.executable.as_deref(), &holder.command_line).unwrap_or((name, &[]));
    if is_shell(called) {
        return Program {
            language: Language::Shell,
            evidence: Some(format!("its executable is {path} (/proc/{pid}/exe)")),
        };
    }
    let Some((file, elf)) = executable else {
        return Program {
            language: Language::Unknown,
            evidence: None,
        };
    };
    let marked = by_section(elf)
        .or_else(|| by_symbol(elf, file))
        .map(|(mark, language)| {
            let evidence = format!("its executable {path} has {mark} (/proc/{pid}/exe)");
            (language, evidence)
        });
    let (language, evidence) = marked
        .or_else(|| {
            let (library, language) = by_library(process, notes)?;
            Some((
                language,
                format!("it has mapped {library} (/proc/{pid}/maps)"),
            ))
        })
        .or_else(|| {
            elf.search(file, ".comment", &["rustc version".to_owned()])?;
            let evidence =
                format!("its executable {path} says so in the section .comment (/proc/{pid}/exe)");
            Some((Language::Rust, evidence))
        })
        .unwrap_or_else(|| {
            let evidence = format!(
                "its executable {path} has no sign of a runtime (/proc/{pid}/exe, /proc/{pid}/maps)"
            );
            (Language::Native, evidence)
        });
    Program {
        language,
        evidence: Some(evidence),
    }
}

/// Libraries of the C library, by the beginnings of their names: they start nothing by themselves.
const PLAIN_LIBRARIES: [&str; 7] = [
    "libc.so",
    "libc.musl",
    "libm.so",
    "libpthread.so",
    "librt.so",
    "ld-linux",
    "ld-musl",
];

/// Functions of the C library that start a process, or let unknown code do it.
const STARTERS: [&str; 16] = [
    "fork",
    "_Fork",
    "__fork",
    "vfork",
    "__vfork",
    "clone",
    "clone3",
    "posix_spawn",
    "posix_spawnp",
    "popen",
    "system",
    "wordexp",
    "forkpty",
    "daemon",
    "dlopen",
    "syscall",
];

/// `No` where the executable needs the C library alone, and calls nothing in it that starts a
/// process. A static program tells nothing, as it has no table of what it calls.
pub(super) fn starts_processes(process: &Process, holder: &Holder, notes: &mut Notes) -> Answer {
    let executable = holder.executable.as_deref();
    if kind_of_first(executable, &holder.command_line) == First::KeepAlive {
        return Answer::No;
    }
    let file = notes.take(process.open_file("exe"));
    let read = |file: &File| Elf::read(file)?.small_section(file, ".dynstr");
    file.as_ref()
        .and_then(read)
        .map_or(Answer::Unknown, |names| starts(&names))
}

/// The same of the names that an executable has of functions and libraries.
fn starts(names: &[u8]) -> Answer {
    let (mut c_library, mut starts) = (false, false);
    for name in names.split(|byte| *byte == 0) {
        let name = String::from_utf8_lossy(name);
        if STARTERS.contains(&name.as_ref()) {
            starts = true;
        } else if PLAIN_LIBRARIES
            .iter()
            .any(|library| name.starts_with(library))
        {
            c_library = true;
        } else if name.contains(".so") {
            return Answer::Unknown;
        }
    }
    match (c_library, starts) {
        (true, false) => Answer::No,
        (true, true) => Answer::Yes,
        (false, _) => Answer::Unknown,
    }
}

fn by_section(elf: &Elf) -> Option<(String, Language)> {
    SECTIONS
        .iter()
        .find(|(section, _)| elf.has_section(section))
        .map(|(section, language)| (format!("the section {section}"), *language))
}

fn by_symbol(elf: &Elf, file: &File) -> Option<(String, Language)> {
    let names = SYMBOLS.map(|(symbol, _)| format!("\0{symbol}\0"));
    let found = elf.search(file, ".dynstr", &names)?;
    let (symbol, language) = SYMBOLS.get(found)?;
    Some((format!("the dynamic symbol {symbol}"), *language))
}

/// The first mapped file that belongs to a runtime, by its path.
fn by_library(process: &Process, notes: &mut Notes) -> Option<(String, Language)> {
    let mut found = None;
    let read = process.for_each_line("maps", |line| {
        found = library_of(line);
        match found {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    });
    notes.take(read);
    found
}

fn library_of(line: &[u8]) -> Option<(String, Language)> {
    // address perms offset dev inode path
    let start = memchr::memchr(b'/', line)?;
    let path = String::from_utf8_lossy(line.get(start..)?);
    let (_, language) = LIBRARIES
        .iter()
        .find(|(library, _)| base_name(&path).starts_with(library))?;
    Some((path.into_owned(), *language))
}

fn base_name(path: &str) -> &str {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    path.rsplit('/').next().unwrap_or(path)
}
