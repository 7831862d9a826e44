//! The callers of a thread of C, C++ or Rust: by the tables that compilers write for exceptions
//! (`.eh_frame`), which are there without frame pointers too, and in a stripped program.
//!
//! Each address that is given is certain: where a table is missing, or says what is not
//! understood, the chain ends.

use std::collections::HashMap;
use std::fs::File;
use std::rc::Rc;

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianRcSlice, LittleEndian, ParsedEhFrameHdr,
    Reader as _, Register, RegisterRule, UnwindContext, UnwindSection as _,
};
use object::elf::FileHeader64;
use object::read::elf::ElfFile;
use object::{Object as _, ObjectSection as _};
use sexton_scan::proc::Process;

use crate::bounded::Bounded;
use crate::image::{self, Segment};
use crate::maps::{self, Mapping};
use crate::memory::Memory;
use crate::record::Stack;

/// Most files of code that are read.
const MODULES: usize = 64;
/// How often what is mapped is read again, because an address was in none of it.
const REREADS: u32 = 16;
/// Bytes of code that are looked at.
const CODE: usize = 32;
/// Most bytes of entries that are searched one by one.
const SEARCHED: usize = 256 << 10;
/// Most callers.
const FRAMES: usize = 128;

type Bytes = EndianRcSlice<LittleEndian>;

/// Registers by their numbers in DWARF; a caller's that are not known are `None`.
type Registers = [Option<u64>; REGISTERS];
const REGISTERS: usize = 17;
const STACK_POINTER: usize = 7;
const RETURN_ADDRESS: usize = 16;
/// Those that a function gives back as they were, unless its table says more (System V ABI).
const KEPT: [usize; 6] = [3, 6, 12, 13, 14, 15];
/// The number in DWARF of each register, in the order in which perf gives them.
const ORDER: [usize; REGISTERS] = [0, 3, 2, 1, 4, 5, 6, 7, 16, 8, 9, 10, 11, 12, 13, 14, 15];

/// The tables of one process.
pub(crate) struct Unwinder {
    mappings: Vec<Mapping>,
    modules: HashMap<(String, String), Option<Module>>,
    rereads: u32,
    memory: Memory,
    context: UnwindContext<usize>,
}

impl Unwinder {
    /// `None` on machines whose registers are not understood.
    pub(crate) fn of(process: &Process) -> Option<Self> {
        cfg!(target_arch = "x86_64").then_some(())?;
        Some(Self {
            mappings: maps::read(process).ok()?,
            modules: HashMap::new(),
            rereads: 0,
            memory: Memory::of(process)?,
            context: UnwindContext::new(),
        })
    }

    /// Where the thread was, then where each call returns to. Empty where nothing is certain.
    pub(crate) fn addresses(&mut self, process: &Process, stack: &Stack) -> Vec<u64> {
        let mut registers: Registers = [None; REGISTERS];
        for (number, value) in ORDER.into_iter().zip(&stack.registers) {
            if let Some(register) = registers.get_mut(number) {
                *register = Some(*value);
            }
        }
        let Some(bottom) = value(&registers, STACK_POINTER) else {
            return Vec::new();
        };
        let read = |at: u64| {
            let at = usize::try_from(at.checked_sub(bottom)?).ok()?;
            Some(u64::from_ne_bytes(*stack.bytes.get(at..)?.first_chunk()?))
        };
        let mut addresses: Vec<u64> = Vec::new();
        while let Some(address) = value(&registers, RETURN_ADDRESS).filter(|a| *a != 0) {
            addresses.push(address);
            // Each but the first is where the call returns to: the call itself is before that.
            let back = u64::from(addresses.len() > 1);
            let next = address
                .checked_sub(back)
                .and_then(|at| self.caller(process, at, &registers, read))
                .or_else(|| self.caller_of_stub(back == 0, address, &registers, read));
            let Some(next) = next.filter(|_| addresses.len() < FRAMES) else {
                break;
            };
            registers = next;
        }
        addresses
    }

    /// The registers of the function that called the one at `address`.
    fn caller(
        &mut self,
        process: &Process,
        address: u64,
        registers: &Registers,
        read: impl Fn(u64) -> Option<u64>,
    ) -> Option<Registers> {
        let mapping = self.mapping(process, address)?;
        let room = self.modules.len() < MODULES;
        if room && !self.modules.contains_key(&mapping.file) {
            let file = process.open_file(&mapping.link()).ok().flatten();
            self.modules
                .insert(mapping.file.clone(), file.and_then(Module::open));
        }
        let module = self.modules.get(&mapping.file)?.as_ref()?;
        let address = image::address(&module.segments, mapping.offset_of(address)?)?;
        let Module {
            table,
            frames,
            bases,
            ..
        } = module;
        let cie = EhFrame::cie_from_offset;
        let entry = match table.as_ref().and_then(ParsedEhFrameHdr::table) {
            Some(table) => table.fde_for_address(frames, bases, address, cie),
            None => frames.fde_for_address(bases, address, cie),
        };
        let entry = entry.ok()?;
        if entry.is_signal_trampoline() {
            return None;
        }
        let row = entry
            .unwind_info_for_address(frames, bases, &mut self.context, address)
            .ok()?;
        let frame = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                value(registers, register.0.into())?.checked_add_signed(*offset)?
            }
            CfaRule::Expression(_) => return None,
        };
        // Stacks grow downwards: a caller's is above.
        value(registers, STACK_POINTER).filter(|pointer| *pointer <= frame)?;
        let mut caller: Registers = [None; REGISTERS];
        for (number, slot) in (0_u16..).zip(&mut caller) {
            let at = usize::from(number);
            let old = value(registers, at);
            *slot = match row.register(Register(number)) {
                Some(RegisterRule::Offset(offset)) => {
                    frame.checked_add_signed(offset).and_then(&read)
                }
                Some(RegisterRule::ValOffset(offset)) => frame.checked_add_signed(offset),
                Some(RegisterRule::Register(other)) => value(registers, other.0.into()),
                Some(RegisterRule::SameValue) => old,
                None if KEPT.contains(&at) => old,
                _ => None,
            };
        }
        *caller.get_mut(STACK_POINTER)? = Some(frame);
        Some(caller)
    }

    /// The same of glibc's and musl's `clone`, whose table ends at the system call, since what it
    /// would say is wrong for the child. Its code tells that it returns at once.
    fn caller_of_stub(
        &self,
        is_first: bool,
        address: u64,
        registers: &Registers,
        read: impl Fn(u64) -> Option<u64>,
    ) -> Option<Registers> {
        let code: [u8; CODE] = self.memory.array(address).filter(|_| is_first)?;
        returns_at_once(&code).then_some(())?;
        let pointer = value(registers, STACK_POINTER)?;
        let mut caller = *registers;
        *caller.get_mut(RETURN_ADDRESS)? = read(pointer);
        *caller.get_mut(STACK_POINTER)? = pointer.checked_add(8);
        Some(caller)
    }

    fn mapping(&mut self, process: &Process, address: u64) -> Option<Mapping> {
        let find = |mappings: &[Mapping]| {
            let mut mappings = mappings.iter();
            mappings
                .find(|m| (m.start..m.end).contains(&address))
                .cloned()
        };
        let found = find(&self.mappings);
        if found.is_none() && self.rereads < REREADS {
            self.rereads = self.rereads.saturating_add(1);
            self.mappings = maps::read(process).ok()?;
            return find(&self.mappings);
        }
        found
    }
}

/// Whether this code, which follows a system call that gave the pid of a child, does nothing but
/// to compare it with 0 and to return.
fn returns_at_once(code: &[u8]) -> bool {
    // test eax, eax or test rax, rax
    let code = code.strip_prefix(&[0x48]).unwrap_or(code);
    let Some(mut rest) = code.strip_prefix(&[0x85, 0xc0]) else {
        return false;
    };
    loop {
        rest = match rest {
            // jl, je: a pid is above 0.
            [0x7c | 0x74, _, rest @ ..] | [0x0f, 0x8c | 0x84, _, _, _, _, rest @ ..] => rest,
            // jne, forwards
            [0x75, distance @ 0..0x80, rest @ ..] => match rest.get(usize::from(*distance)..) {
                Some(rest) => rest,
                None => return false,
            },
            // ret
            [0xc3, ..] => return true,
            _ => return false,
        };
    }
}

fn value(registers: &Registers, number: usize) -> Option<u64> {
    *registers.get(number)?
}

struct Module {
    segments: Vec<Segment>,
    /// To find an entry; a program that is linked statically may have none.
    table: Option<ParsedEhFrameHdr<Bytes>>,
    frames: EhFrame<Bytes>,
    bases: BaseAddresses,
}

impl Module {
    fn open(file: File) -> Option<Self> {
        let bytes = Bounded::new(file);
        let elf = ElfFile::<FileHeader64<object::LittleEndian>, _>::parse(&bytes).ok()?;
        let section = |name: &str| {
            let section = elf.section_by_name(name)?;
            let data: Rc<[u8]> = section.data().ok()?.into();
            Some((section.address(), EndianRcSlice::new(data, LittleEndian)))
        };
        let (frames_at, frames) = section(".eh_frame")?;
        let table = section(".eh_frame_hdr");
        if table.is_none() && frames.len() > SEARCHED {
            return None;
        }
        let text = elf.section_by_name(".text")?.address();
        let mut bases = BaseAddresses::default()
            .set_eh_frame(frames_at)
            .set_text(text);
        let table = table.and_then(|(at, table)| {
            bases = bases.clone().set_eh_frame_hdr(at);
            EhFrameHdr::from(table).parse(&bases, 8).ok()
        });
        Some(Self {
            segments: image::segments(&elf),
            table,
            frames: EhFrame::from(frames),
            bases,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_returns_at_once() {
        // glibc 2.36: test rax, rax; jl; je; ret
        let glibc = [0x48, 0x85, 0xc0, 0x7c, 0x18, 0x74, 0x01, 0xc3, 0x31, 0xed];
        assert!(returns_at_once(&glibc));
        // musl: test eax, eax; jne over 3 bytes; ret
        assert!(returns_at_once(&[0x85, 0xc0, 0x75, 3, 0, 0, 0, 0xc3]));
        for other in [
            &[0x48, 0x85, 0xc0, 0x7c, 0x18, 0x58, 0xc3][..],
            &[0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0xc3],
            &[0x85, 0xc0, 0x75, 0xfc, 0xc3],
            &[0x85, 0xc0, 0x75, 0x7f],
            &[],
        ] {
            assert!(!returns_at_once(other), "{other:x?}");
        }
    }
}
