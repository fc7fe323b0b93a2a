//! Writing LLVM IR text: what the CPU and AMD backends share.
