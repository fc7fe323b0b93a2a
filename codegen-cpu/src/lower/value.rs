//! What an IR value is for a warp of lanes.

/// Lanes of a warp.
pub(super) const LANES: u32 = 32;

/// A value of all lanes, kept in the cheapest form that is known to hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Lanes {
    /// The same on every lane: an LLVM scalar.
    Uniform(String),
    /// `base + lane * stride`, in the arithmetic of the type; of pointers, `stride` in elements.
    /// With `exact` no lane wraps, so that widening keeps the form.
    Affine { base: String, stride: i64, exact: bool },
    /// An LLVM vector.
    Vector(String),
    /// A vector held by each thread, element by element.
    Parts(Vec<Lanes>),
    /// The address of an element of a local array. Arrays lie element by element, each a vector of
    /// all lanes, so that a uniform index is one vector access.
    Local { array: u32, index: Option<Box<Lanes>> },
}

impl Lanes {
    /// The scalar, if all lanes agree by construction.
    pub(super) fn uniform(&self) -> Option<&str> {
        match self {
            Lanes::Uniform(value) => Some(value),
            _ => None,
        }
    }
}
