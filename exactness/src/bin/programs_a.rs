//! A part of a batch of generated programs, from the file that the bin `exactness` wrote.
// Generated code is not written for people: every lint would find something.
#![allow(warnings, clippy::all, arithmetic_overflow, unconditional_panic, overflowing_literals)]
include!(concat!(env!("KERNELSMITH_EXACTNESS_PROGRAMS"), "/programs-a.rs"));
