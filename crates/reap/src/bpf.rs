//! Seccomp's filters, run as the kernel would run them: what would become of a call.
//!
//! A filter is a program of classic BPF (`seccomp(2)`, "Filters"). It comes from another
//! process, so nothing in it is taken for granted: jumps go forward only, so a run ends; what
//! the kernel would not have let in has no answer.

use std::num::NonZeroU32;

/// One instruction, `struct sock_filter`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    /// How far to jump where it is true, and where it is false.
    pub(crate) then: u8,
    pub(crate) otherwise: u8,
    pub(crate) k: u32,
}

/// A system call as a filter sees it, `struct seccomp_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) number: u32,
    /// `AUDIT_ARCH_*`
    pub(crate) arch: u32,
    /// After the `syscall` instruction.
    pub(crate) pc: u64,
    pub(crate) arguments: [u64; 6],
}

impl Call {
    /// Bytes of `struct seccomp_data`.
    const SIZE: u32 = 64;
    /// The words of the first argument, as bits of [`Answer::read`].
    pub(crate) const FIRST_ARGUMENT: u16 = 0b11 << 4;

    /// The four bytes at `offset`.
    fn word(&self, offset: u32) -> Option<u32> {
        if !offset.is_multiple_of(4) {
            return None;
        }
        let half = |whole: u64, upper: bool| {
            let [a, b, c, d, e, f, g, h] = whole.to_le_bytes();
            u32::from_le_bytes(if upper { [e, f, g, h] } else { [a, b, c, d] })
        };
        match offset {
            0 => Some(self.number),
            4 => Some(self.arch),
            8 | 12 => Some(half(self.pc, offset == 12)),
            _ => {
                let index = usize::try_from(offset.checked_sub(16)?).ok()?;
                let argument = *self.arguments.get(index.checked_div(8)?)?;
                Some(half(argument, !offset.is_multiple_of(8)))
            }
        }
    }
}

/// What a filter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// `SECCOMP_RET_*`, and its data.
    pub(crate) value: u32,
    /// The words of the call that it looked at, a bit each: what it did not look at could be
    /// anything.
    pub(crate) read: u16,
}

/// Runs `program` on `call`; `None` where the kernel would never have let it in, or where it
/// takes more steps than there are in `budget`.
pub(crate) fn run(program: &[Instruction], call: &Call, budget: &mut u32) -> Option<Answer> {
    let mut machine = Machine::default();
    let mut at = 0_usize;
    loop {
        *budget = budget.checked_sub(1)?;
        let instruction = *program.get(at)?;
        at = at.checked_add(1)?;
        match machine.step(instruction, call)? {
            Next::Jump(distance) => at = at.checked_add(usize::try_from(distance).ok()?)?,
            Next::Return(value) => {
                return Some(Answer {
                    value,
                    read: machine.read,
                });
            }
        }
    }
}

#[derive(Default)]
struct Machine {
    a: u32,
    x: u32,
    memory: [u32; 16],
    read: u16,
}

enum Next {
    /// Goes on so many instructions further.
    Jump(u32),
    Return(u32),
}

// `linux/bpf_common.h`
const LD: u16 = 0;
const LDX: u16 = 1;
const ST: u16 = 2;
const STX: u16 = 3;
const ALU: u16 = 4;
const JMP: u16 = 5;
const RET: u16 = 6;
const MISC: u16 = 7;
const IMM: u16 = 0x00;
const ABS: u16 = 0x20;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
/// The operand is X, not K.
const X: u16 = 0x08;
/// Of `RET`: the value is A.
const A: u16 = 0x10;
const TXA: u16 = 0x80;

impl Machine {
    fn step(&mut self, instruction: Instruction, call: &Call) -> Option<Next> {
        let Instruction { code, k, .. } = instruction;
        // One byte; a load's two bits for its width are those of a word.
        let (class, rest) = (code & 7, code & !7);
        match class {
            LD => self.a = self.load(rest, k, call)?,
            LDX => self.x = self.load(rest, k, call)?,
            ST | STX if rest == 0 => {
                let value = if class == ST { self.a } else { self.x };
                *self.memory.get_mut(usize::try_from(k).ok()?)? = value;
            }
            ALU => {
                let operand = if rest & X == 0 { k } else { self.x };
                match calculate(rest & !X, self.a, operand)? {
                    Some(value) => self.a = value,
                    // The kernel ends the run with 0, which kills the thread.
                    None => return Some(Next::Return(0)),
                }
            }
            JMP => return self.jump(instruction, rest).map(Next::Jump),
            RET => match rest {
                0 => return Some(Next::Return(k)),
                A => return Some(Next::Return(self.a)),
                _ => return None,
            },
            MISC => match rest {
                0 => self.x = self.a,
                TXA => self.a = self.x,
                _ => return None,
            },
            _ => return None,
        }
        Some(Next::Jump(0))
    }

    fn load(&mut self, mode: u16, k: u32, call: &Call) -> Option<u32> {
        match mode {
            IMM => Some(k),
            ABS => {
                let word = call.word(k)?;
                self.read |= 1_u16.checked_shl(k.checked_div(4)?)?;
                Some(word)
            }
            MEM => self.memory.get(usize::try_from(k).ok()?).copied(),
            LEN => Some(Call::SIZE),
            _ => None,
        }
    }

    fn jump(&self, instruction: Instruction, rest: u16) -> Option<u32> {
        let operand = if rest & X == 0 { instruction.k } else { self.x };
        let holds = match rest & !X {
            0x00 if rest == 0 => return Some(instruction.k),
            0x10 => self.a == operand,
            0x20 => self.a > operand,
            0x30 => self.a >= operand,
            0x40 => self.a & operand != 0,
            _ => return None,
        };
        Some(u32::from(if holds {
            instruction.then
        } else {
            instruction.otherwise
        }))
    }
}

/// The inner `None` is a division by zero.
fn calculate(operation: u16, a: u32, operand: u32) -> Option<Option<u32>> {
    Some(Some(match operation {
        0x00 => a.wrapping_add(operand),
        0x10 => a.wrapping_sub(operand),
        0x20 => a.wrapping_mul(operand),
        0x30 => return Some(NonZeroU32::new(operand).map(|operand| a / operand)),
        0x40 => a | operand,
        0x50 => a & operand,
        // Only the lower five bits of the distance count.
        0x60 => a.wrapping_shl(operand),
        0x70 => a.wrapping_shr(operand),
        0x80 => a.wrapping_neg(),
        0xa0 => a ^ operand,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests;
