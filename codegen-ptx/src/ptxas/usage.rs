//! What `ptxas -v` says of a kernel.

/// What a kernel takes to run.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Usage {
    /// Registers of a thread.
    pub registers: u32,
    /// Bytes of a thread's stack: local arrays and spilled registers.
    pub stack: u32,
    /// Bytes stored because registers ran out.
    pub spill_stores: u32,
    /// Bytes loaded because registers ran out.
    pub spill_loads: u32,
    /// Bytes of static shared memory.
    pub shared: u32,
}

impl Usage {
    /// Reads the assembler's words; `None` where they do not name the registers.
    pub(super) fn parse(log: &str) -> Option<Usage> {
        Some(Usage {
            registers: number_before(log.split_once(": Used ")?.1, " registers")?,
            stack: number_before(log, " bytes stack frame").unwrap_or(0),
            spill_stores: number_before(log, " bytes spill stores").unwrap_or(0),
            spill_loads: number_before(log, " bytes spill loads").unwrap_or(0),
            shared: number_before(log, " bytes smem").unwrap_or(0),
        })
    }
}

/// The number in front of the first occurrence of `words`.
fn number_before(log: &str, words: &str) -> Option<u32> {
    let (before, _) = log.split_once(words)?;
    let digits = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    before[before.len() - digits..].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ptxas_prints() {
        let log = "ptxas info    : 0 bytes gmem\n\
                   ptxas info    : Compiling entry function 'k' for 'sm_90a'\n\
                   ptxas info    : Function properties for k\n    \
                   64 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads\n\
                   ptxas info    : Used 40 registers, used 1 barriers, 64 bytes cumulative stack \
                   size, 2048 bytes smem, 384 bytes cmem[0]\n";
        let usage = Usage::parse(log).unwrap();
        let expected =
            Usage { registers: 40, stack: 64, spill_stores: 8, spill_loads: 12, shared: 2048 };
        assert_eq!(usage, expected);
        assert_eq!(Usage::parse("ptxas info    : 0 bytes gmem"), None);
    }
}
