//! How common mistakes read: each at the user's own tokens, with the way out.

#[test]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
