//! Sizes and field offsets of the two formats (artifact specification, section 8).

pub(super) const MAGIC_1: &[u8; 8] = b"PTDPRMC1";
pub(super) const MAGIC_3: &[u8; 8] = b"PTDPRMC3";

/// What differs between the two formats in the layout of a command.
pub(super) struct CommandLayout {
    pub(super) size: usize,
    pub(super) operand_size: usize,
}

pub(super) const COMMAND_1: CommandLayout = CommandLayout { size: 128, operand_size: 32 };
pub(super) const COMMAND_3: CommandLayout = CommandLayout { size: 80, operand_size: 16 };

/// Bytes before the operands of a command: type, pad, from, to, multiplier.
pub(super) const OPERANDS_AT: usize = 32;

pub(super) const HEADER_1: usize = 56;
pub(super) const HEADER_3: usize = 40;
pub(super) const INPUT_SIZE: usize = 24;

/// Operand kinds.
pub(super) const KIND_NONE: u8 = 0;
pub(super) const KIND_MEMORY: u8 = 1;
pub(super) const KIND_EDGE: u8 = 2;
pub(super) const KIND_EXTERNAL: u8 = 3;

/// Size of a PTDPRMC1 file: 56 + 128 N + 8 M + 8 V bytes, saturating.
pub const fn ptdprmc1_size_bytes(commands: u64, slots: u64, vertices: u64) -> u64 {
    (HEADER_1 as u64)
        .saturating_add(commands.saturating_mul(COMMAND_1.size as u64))
        .saturating_add(slots.saturating_mul(8))
        .saturating_add(vertices.saturating_mul(8))
}

/// Size of a PTDPRMC3 file: 40 + 80 N + 8 M + 24 K bytes, saturating.
pub const fn ptdprmc3_size_bytes(commands: u64, slots: u64, inputs: u64) -> u64 {
    (HEADER_3 as u64)
        .saturating_add(commands.saturating_mul(COMMAND_3.size as u64))
        .saturating_add(slots.saturating_mul(8))
        .saturating_add(inputs.saturating_mul(INPUT_SIZE as u64))
}
