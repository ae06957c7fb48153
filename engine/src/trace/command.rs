//! The program: commands over numbered memory slots, and the edge weights they read.
//!
//! Sixteen bytes a command; the files spend 80 or 128.

/// A value from outside that a program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// The current weight of an out-edge.
    Edge {
        /// The vertex the edge leaves.
        vertex: u32,
        /// The number of the edge among that vertex's edges, from 0.
        edge: u32,
    },
    /// An entry of a table that the caller brings (PTDPRMC1, format revision 2).
    External {
        /// The place in the table, from 0.
        index: u32,
    },
}

/// One step of a program (artifact specification, section 6). Slots are numbers of memory cells; slot 0 is never
/// written and holds 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Type 0: emit the linear row `(from, to, x)`, x being the slot's value, less 1 when `from == to`.
    Row {
        /// Vertex whose value the row adds to.
        from: u32,
        /// Vertex whose value the row reads.
        to: u32,
        /// Slot of the multiplier.
        multiplier: u32,
    },
    /// Type 1: `slot := slot + from · 1.0`.
    Add {
        /// Slot written.
        slot: u32,
        /// Slot read.
        from: u32,
    },
    /// Type 1 on an input.
    AddInput {
        /// Slot written.
        slot: u32,
        /// Input read, by its number in [`Trace::inputs`].
        input: u32,
    },
    /// Type 2: `slot := 1 / slot`.
    Invert {
        /// Slot written.
        slot: u32,
    },
    /// Type 3: `slot := slot + left · right`.
    AddProduct {
        /// Slot written.
        slot: u32,
        /// Slot of the first factor.
        left: u32,
        /// Slot of the second factor.
        right: u32,
    },
    /// Type 3 with an input as first factor.
    AddProductInput {
        /// Slot written.
        slot: u32,
        /// Input that is the first factor.
        input: u32,
        /// Slot of the second factor.
        right: u32,
    },
    /// Type 4: `slot := 1 − slot`.
    OneMinus {
        /// Slot written.
        slot: u32,
    },
    /// Type 5: `slot := slot / by`.
    Divide {
        /// Slot written.
        slot: u32,
        /// Slot of the divisor.
        by: u32,
    },
    /// Type 5 with an input as divisor.
    DivideByInput {
        /// Slot written.
        slot: u32,
        /// Input that is the divisor.
        input: u32,
    },
    /// Type 6: `slot := 0`.
    Zero {
        /// Slot written.
        slot: u32,
    },
}

/// A program that turns edge weights into linear rows, and these into expected rewards.
///
/// [`eliminate`](super::eliminate) makes one from a graph, [`artifact::decode`](crate::artifact::decode) reads one from a file. Both
/// guarantee what replay relies on: every slot is below [`slots`](Self::slots), every vertex below
/// [`vertex_count`](Self::vertex_count), every input number below the number of inputs, slot 0 is never written, and no
/// other slot is read before a [`Command::Zero`] of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    pub(crate) vertex_count: u32,
    pub(crate) slots: u32,
    pub(crate) inputs: Vec<Input>,
    pub(crate) commands: Vec<Command>,
}

impl Trace {
    /// Vertices of the graph the program belongs to.
    pub fn vertex_count(&self) -> u32 {
        self.vertex_count
    }

    /// Memory slots, slot 0 included.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// The inputs, in order of their first use.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The commands, in the order they run.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// Number of rows the program emits.
    pub fn row_count(&self) -> usize {
        self.commands.iter().filter(|command| matches!(command, Command::Row { .. })).count()
    }
}
