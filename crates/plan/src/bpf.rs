//! Classic BPF: instructions, a small assembler, an interpreter for tests.
