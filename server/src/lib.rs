//! The Phasic Hub service.
