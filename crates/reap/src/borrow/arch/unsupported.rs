//! Any other architecture: plans are refused before any of this is reached.

use crate::borrow::arch::{Encoded, Errand};
use crate::borrow::tail::Header;
use crate::bpf::Call;

pub(crate) const MAX_CODE: usize = 0;
pub(crate) type Registers = libc::user_regs_struct;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    InCall,
    Elsewhere,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)]
pub(crate) enum Habit {
    Restarts,
    RestartsPlainly,
    ReadsDescriptor,
    Rewound(Timeout),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)]
pub(crate) enum Timeout {
    Never,
    Milliseconds(usize),
    Timespec(usize),
    Ring,
}

pub(crate) fn habit(_: u64, _: &[u64; 6]) -> Option<Habit> {
    None
}

pub(crate) fn stand(_: &Registers, _: [u8; 2]) -> Stand {
    Stand::Elsewhere
}
pub(crate) fn before_pc(_: &Registers) -> u64 {
    0
}
pub(crate) fn pc(_: &Registers) -> u64 {
    0
}
pub(crate) fn sp(_: &Registers) -> u64 {
    0
}
pub(crate) fn call(_: &Registers) -> u64 {
    u64::MAX
}
pub(crate) fn arguments(_: &Registers) -> [u64; 6] {
    [0; 6]
}
pub(crate) fn was_interrupted(_: &Registers) -> bool {
    false
}
pub(crate) fn restart_unless_handled(_: &mut Registers) -> (usize, u64) {
    unreachable!("no thread is borrowed on this architecture")
}
pub(crate) fn entry(_: u64) -> (usize, u64) {
    unreachable!("no thread is borrowed on this architecture")
}
pub(crate) fn call_again(_: &Registers) -> Option<Call> {
    None
}
pub(crate) fn end_otherwise(_: &mut Registers) -> (usize, u64) {
    unreachable!("no thread is borrowed on this architecture")
}
pub(crate) fn encode(_: &mut [u8], _: u64, _: &Header, _: &Registers, _: Errand<'_>) -> Encoded {
    unreachable!("no thread is borrowed on this architecture")
}
