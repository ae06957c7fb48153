//! Whole-system tests of Phasic Hub: real processes, fake upstreams, the published golden vectors.
