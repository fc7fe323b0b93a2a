//! A kernel's version, of its source.

/// A hash of sources, for [`Tuner::version`](super::Tuner::version): records are refused once one of the
/// files has changed.
///
/// ```
/// // As a rule `&[include_bytes!("kernel.rs")]`.
/// const VERSION: u64 = kernelsmith::tune::version_of(&[b"fn kernel() {}"]);
/// assert_ne!(VERSION, kernelsmith::tune::version_of(&[b"fn kernel() { }"]));
/// ```
pub const fn version_of(sources: &[&[u8]]) -> u64 {
    // FNV-1a (Fowler, Noll, Vo): nobody attacks this, and it can be computed while compiling.
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut file = 0;
    while file < sources.len() {
        let bytes = sources[file];
        let mut i = 0;
        while i < bytes.len() {
            hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0100_0000_01b3);
            i += 1;
        }
        // No byte of a text: where a file ends counts.
        hash = (hash ^ 0xff).wrapping_mul(0x0100_0000_01b3);
        file += 1;
    }
    hash
}
