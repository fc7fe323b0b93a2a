//! The rules a kernel keeps, each with a name and a sentence.

/// Declares the rules: the enum, its names, and the sentences of the reference.
macro_rules! rules {
    ($($rule:ident $name:literal $sentence:literal;)*) => {
        /// A rule of the IR. The name is what an error shows and a test asks for.
        ///
        /// | rule | what it says |
        /// |---|---|
        $(#[doc = concat!("| `", $name, "` | ", $sentence, " |")])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        pub enum Rule { $(#[doc = $sentence] $rule),* }

        impl Rule {
            /// Every rule, in declaration order.
            pub const ALL: &'static [Rule] = &[$(Rule::$rule),*];

            /// The name.
            pub const fn name(self) -> &'static str {
                match self { $(Rule::$rule => $name),* }
            }

            /// What the rule says.
            pub const fn sentence(self) -> &'static str {
                match self { $(Rule::$rule => $sentence),* }
            }
        }
    };
}

rules! {
    // declarations
    KernelName "kernel-name" "A kernel's name is an identifier of ASCII letters, digits and `_`, in every target's assembly.";
    ParameterName "parameter-name" "No two parameters have one name.";
    ParameterType "parameter-type" "A `scalar` parameter is a scalar; a `readonly` or `exclusive` one is a pointer to global memory; a `tile` one is a tensor map with as many axes as its box.";
    ContractTerm "contract-term" "A contract's terms are products of scalar integer parameters, and its sum has a term.";
    BlockSize "block-size" "A fixed block size is at least 1 along every axis.";
    VectorLength "vector-length" "A vector has 2 to 128 lanes.";
    ArraySize "array-size" "A shared or local array has at least one element, and all arrays of a kind together have at most 2^31 bytes.";
    ArrayAlignment "array-alignment" "A shared array's alignment is a power of two and at least its element's size.";
    TensorTile "tensor-tile" "Only parameters are tensor maps, and the box of one has 1 to 5 axes of 1 to 256 elements, rows of a multiple of 16 bytes, and none longer than its swizzle is wide.";
    ClusterSize "cluster-size" "A cluster has at least 1 block along every axis, 16 at most, and operations on clusters stand in kernels that fix one.";
    // values
    ValueNumber "value-number" "Every value that is named has a type in the kernel's table.";
    DefinedOnce "defined-once" "A value is defined once.";
    DefinedBeforeUse "defined-before-use" "A value is defined before it is used.";
    InScope "in-scope" "A value is used in the region that defines it, or in one inside of that.";
    // the form of an operation
    OperandCount "operand-count" "An operation has as many operands as its signature says.";
    OperandType "operand-type" "Operands have the types that the signature says.";
    ResultCount "result-count" "An operation has as many results as its signature says.";
    ResultType "result-type" "Results have the types that the signature says.";
    AttributeKind "attribute-kind" "An operation has the attribute that its signature says, and no other.";
    // what attributes say
    ConstantFits "constant-fits" "A constant's bits above its type's width are zero.";
    LaneInRange "lane-in-range" "A lane that is named is below the vector's length.";
    SlotDeclared "slot-declared" "Every slot that an access can reach is declared, and all have the type of the first.";
    ArrayDeclared "array-declared" "An array whose address is taken is declared.";
    AccessAlignment "access-alignment" "The alignment a load or store promises is a power of two and at least the element's size.";
    AddressSpace "address-space" "A pointer is to a space that the operation works on.";
    CombinesType "combines-type" "Atomics and reductions combine by an operation their type has: bitwise ones on integers (reductions: `bool` too), the others on numbers.";
    MatrixShape "matrix-shape" "A matrix instruction's shape is one of the table's.";
    CopyWidth "copy-width" "`cp_async` copies 4, 8 or 16 bytes; `ldmatrix` loads 1, 2 or 4 matrices.";
    NamedBarrier "named-barrier" "A named barrier is one of 1 to 15, and as many threads come there as make whole warps of 32, 1024 at most.";
    WgmmaShape "wgmma-shape" "A `wgmma`'s shape is one that there is, its factors' offsets are multiples of 16 bytes below 2^18, and only factors of 16 bits lie along m or n.";
    TensorMemory "tensor-memory" "Columns of tensor memory are taken by powers of two from 32 to 512 and moved 2, 4, .. 128 at a time; what a `tcgen05_load` reads goes to a `tcgen05_wait_load` and nowhere else; the shape of a `tcgen05_mma` is one that there is, its factors' offsets are multiples of 16 bytes below 2^18, only factors of 8 and 16 bits lie along m or n, and it has the type and number of scales that its kind has, at a byte that they may begin at; a `tcgen05_copy` is of rows along k.";
    TensorGroup "tensor-group" "All that a kernel does in tensor memory is of one block, or all of pairs of blocks; one with pairs, or with loads that a barrier of the pair counts, fixes a cluster of an even number of blocks.";
    BulkCopy "bulk-copy" "Only loads arrive in several blocks, where barriers of those count them, and only stores combine: integers by any operation, floats by `add`, f16 and bf16 also by `min` and `max`; a tensor that is stored to is written. Rows are copied of matrices in boxes of one row, pixels through maps with a window, and loaded only.";
    RegisterShare "register-share" "A share of registers is a multiple of 8 from 24 to 256.";
    AccessOrder "access-order" "An atomic load is relaxed or acquires; an atomic store is relaxed or releases.";
    CheckMessage "check-message" "Only assertions have a message of their own, and its holes are as many as the values.";
    PrintMessage "print-message" "What a kernel prints is a message: text with holes that name the types of their values.";
    HiddenParameter "hidden-parameter" "What a launch fills in is a parameter behind all that callers pass, of its kind's type, and there once.";
    // control flow
    RegionCount "region-count" "`if` has two regions, `for`, `loop` and `block` have one, and other operations none.";
    RegionArguments "region-arguments" "A `for`'s region takes the induction value and what is carried, a `loop`'s what is carried, others nothing.";
    EndsInTerminator "ends-in-terminator" "A region ends in a terminator.";
    TerminatorLast "terminator-last" "Nothing follows a terminator in its region.";
    TerminatorKind "terminator-kind" "`yield` ends regions of `if` and `block` only.";
    LabelUnique "label-unique" "A label is below the kernel's count of labels and belongs to one operation.";
    JumpTarget "jump-target" "`break` names the label of an enclosing `for`, `loop` or `block`, `continue` that of a `for` or `loop`.";
    JumpValues "jump-values" "`yield` and `break` pass values of the types of the results they become, `continue` of what its loop carries.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_kebab_case_and_sentences_end() {
        let names: HashSet<&str> = Rule::ALL.iter().map(|r| r.name()).collect();
        assert_eq!(names.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            assert!(rule.name().bytes().all(|b| b == b'-' || b.is_ascii_lowercase()));
            assert!(rule.sentence().ends_with('.'), "{}", rule.name());
        }
    }
}
