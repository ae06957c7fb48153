//! The wire contract of Phasic Hub: registry documents, identifiers, REST types and problems.
