use super::program;

/// Programs 0 to 199 of a seed as one text.
fn many(seed: u64) -> String {
    (0..200).map(|n| program(seed, n).to_string()).collect()
}

#[test]
fn a_seed_names_its_programs() {
    let text = many(1);
    assert_eq!(text, many(1));
    assert_ne!(text, many(2));
}

/// What the grammar can write, it does write.
#[test]
fn the_whole_language_is_there() {
    let text = many(1);
    let forms = [
        "while ",
        "loop {",
        ": loop",
        "for i",
        ".rev()",
        ".step_by(",
        "unroll(",
        ".iter()",
        ".iter_mut()",
        ".enumerate()",
        "break;",
        "break 'l",
        "continue",
        "return ",
        "match ",
        " @ ",
        " | ",
        "..=",
        " if ",
        "else if",
        "move |",
        "&mut ",
        "let mut ",
        "let (",
        "as i8",
        "as u64",
        "f16::from_f32",
        "bf16::from_f64",
        ".wrapping_mul(",
        ".saturating_sub(",
        ".mul_add(",
        ".clamp(",
        ".pow(",
        ".rem_euclid(",
        ".rotate_left(",
        " <<= ",
        " /= ",
        "&&",
        "||",
        ": &mut ",
        "mut a",
        ".swap_bytes()",
        ".sin()",
        "f16::from_f64",
        "pub struct",
        "pub enum",
        "pub trait",
        "const N: usize",
        "<T: Num>",
        "impl Fn(",
        "&mut self",
        "&self",
        "A::Out",
        "Self::K",
        "Self {",
        "let S",
        " } = ",
        "(S",
        "..x",
        "pub fn h",
        "while let",
        ".windows(",
        ".zip(",
        ".fold(",
        ".sum::<",
        ".enumerate().rev()",
        ".contains(&",
        "&[",
        "&mut [",
        ".len()..]",
        ".iter_mut()",
        ".position(|",
        ".any(|",
        ".copied()",
        "<const N: usize> {",
        "Tile",
        "LAST",
        "f16::from_f32",
        ".checked_pow(",
        ".saturating_pow(",
        ".wrapping_pow(",
        "e4m3::from_f32(",
        "e5m2::from_bits(",
        "<F0: Fn(",
        "where F0: Fn(",
        "let mut o",
        "::<f16>(",
        "((m",
        ", .. } =>",
    ];
    let missing: Vec<_> = forms.iter().filter(|form| !text.contains(**form)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn statements_are_dropped_by_number() {
    let whole = program(1, 5);
    let count = whole.statements();
    assert!(count > 5, "{count}");
    let all: Vec<usize> = (0..count).collect();
    assert_eq!(whole.without(&[]).to_string(), whole.to_string());
    assert_eq!(whole.without(&[count - 1]).statements(), count - 1);
    assert!(whole.without(&all).to_string().lines().count() < whole.to_string().lines().count());
}
