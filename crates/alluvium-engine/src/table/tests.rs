//! Covered by the conformance suite; here only what needs the inside.
