//! The Phasic Hub SDK and the phasic command.
