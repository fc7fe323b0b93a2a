//! Writing a value as `std::fmt` would.

use super::{Align, Form, Hole, Spec};
use crate::attr::Const;
use crate::types::Scalar;

/// `format!` by flags that are only known when it runs; fill and alignment aside.
macro_rules! flagged {
    ($value:expr, $spec:expr, $form:literal) => {{
        let width = if $spec.zero { usize::from($spec.width.unwrap_or(0)) } else { 0 };
        let digits = $spec.precision.map(usize::from);
        match ($spec.plus, $spec.alternate, $spec.zero, digits) {
            (false, false, false, None) => format!(concat!("{:", $form, "}"), $value),
            (true, false, false, None) => format!(concat!("{:+", $form, "}"), $value),
            (false, true, false, None) => format!(concat!("{:#", $form, "}"), $value),
            (true, true, false, None) => format!(concat!("{:+#", $form, "}"), $value),
            (false, false, true, None) => format!(concat!("{:01$", $form, "}"), $value, width),
            (true, false, true, None) => format!(concat!("{:+01$", $form, "}"), $value, width),
            (false, true, true, None) => format!(concat!("{:#01$", $form, "}"), $value, width),
            (true, true, true, None) => format!(concat!("{:+#01$", $form, "}"), $value, width),
            (plus, alternate, zero, Some(n)) => {
                let width = if zero { width } else { 0 };
                match (plus, alternate) {
                    (false, false) => format!(concat!("{:01$.2$", $form, "}"), $value, width, n),
                    (true, false) => format!(concat!("{:+01$.2$", $form, "}"), $value, width, n),
                    (false, true) => format!(concat!("{:#01$.2$", $form, "}"), $value, width, n),
                    (true, true) => format!(concat!("{:+#01$.2$", $form, "}"), $value, width, n),
                }
            }
        }
    }};
}

/// The forms that integers and floats have.
macro_rules! decimal {
    ($value:expr, $spec:expr) => {
        match $spec.form {
            Form::LowerExp => flagged!($value, $spec, "e"),
            Form::UpperExp => flagged!($value, $spec, "E"),
            Form::Debug => flagged!($value, $spec, "?"),
            _ => flagged!($value, $spec, ""),
        }
    };
}

impl Hole {
    /// The value of these bits, as `std::fmt` writes it.
    pub fn write(&self, bits: u64) -> String {
        let (value, spec) = (Const::new(self.ty, bits), &self.spec);
        let text = match self.ty {
            Scalar::Bool => return pad(truth(value.bits != 0, spec), spec, Align::Left),
            Scalar::F64 => decimal!(f64::from_bits(value.bits), spec),
            Scalar::F32 => decimal!(f32::from_bits(value.bits as u32), spec),
            // As the `half` crate writes its types.
            Scalar::F16 => decimal!(half::f16::from_bits(value.bits as u16).to_f32(), spec),
            Scalar::BF16 => decimal!(half::bf16::from_bits(value.bits as u16).to_f32(), spec),
            ty => match spec.form {
                Form::LowerHex => flagged!(value.bits, spec, "x"),
                Form::UpperHex => flagged!(value.bits, spec, "X"),
                Form::Octal => flagged!(value.bits, spec, "o"),
                Form::Binary => flagged!(value.bits, spec, "b"),
                _ if ty.is_signed() => decimal!(value.as_int() as i64, spec),
                _ => decimal!(value.bits, spec),
            },
        };
        pad(text, spec, Align::Right)
    }
}

/// A `bool`, which is written as a string: the precision cuts it off.
fn truth(value: bool, spec: &Spec) -> String {
    let text = if value { "true" } else { "false" };
    text.chars().take(spec.precision.map_or(usize::MAX, usize::from)).collect()
}

/// Fills up to the width.
fn pad(text: String, spec: &Spec, default: Align) -> String {
    let width = usize::from(spec.width.unwrap_or(0));
    let missing = width.saturating_sub(text.chars().count());
    let left = match spec.align.unwrap_or(default) {
        Align::Left => 0,
        Align::Center => missing / 2,
        Align::Right => missing,
    };
    let fill = |n: usize| std::iter::repeat_n(spec.fill, n);
    fill(left).chain(text.chars()).chain(fill(missing - left)).collect()
}

#[cfg(test)]
mod tests {
    use crate::message::{Message, Piece};

    fn filled(message: &str, values: &[u64]) -> String {
        let parsed: Message = message.parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(parsed.to_string(), message, "prints as it reads");
        parsed.fill(values.iter().copied())
    }

    #[test]
    fn values_are_written_as_std_writes_them() {
        let f = |x: f32| u64::from(x.to_bits());
        let i = |x: i32| u64::from(x as u32);
        let cases = [
            (filled("{i32}|{i32:?}|{i32:x}", &[i(-7); 3]), format!("{}|{:?}|{:x}", -7, -7, -7)),
            (filled("{i32:+}|{u8:#010b}", &[i(5), 5]), format!("{:+}|{:#010b}", 5, 5u8)),
            (filled("{i16:06}|{i16:<6}|", &[0xFFFE, 3]), format!("{:06}|{:<6}|", -2, 3)),
            (filled("{u64:*^9}|{u64:e}", &[42, 1200]), format!("{:*^9}|{:e}", 42, 1200)),
            (filled("{u32:#X}|{u32:o}", &[255, 8]), format!("{:#X}|{:o}", 255, 8)),
            (filled("{f32}|{f32:?}", &[f(1.0); 2]), format!("{}|{:?}", 1f32, 1f32)),
            (filled("{f32:8.3}|", &[f(2.0 / 3.0)]), format!("{:8.3}|", 2f32 / 3.0)),
            (filled("{f32:+09.2}", &[f(-1.5)]), format!("{:+09.2}", -1.5f32)),
            (filled("{f32:.1e}|{f32}", &[f(1e-9), f(f32::NAN)]), format!("{:.1e}|NaN", 1e-9f32)),
            (filled("{f32:05}|", &[f(f32::INFINITY)]), format!("{:05}|", f32::INFINITY)),
            (filled("{f64:e}", &[0.1f64.to_bits()]), format!("{:e}", 0.1)),
            (filled("{f16}", &[0x3C00]), format!("{}", half::f16::ONE)),
            (filled("{bool}|{bool:>6}|{bool:.2}", &[1, 0, 1]), "true| false|tr".to_owned()),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn braces_and_missing_values() {
        assert_eq!(filled("{{a}} {u32} {u32}", &[7]), "{a} 7 ?");
        assert_eq!(Message::text("{x}").to_string(), "{{x}}");
        assert_eq!("ab".parse::<Message>().unwrap().pieces, [Piece::Text("ab".into())]);
    }

    #[test]
    fn what_is_no_message_is_rejected() {
        for text in ["{", "}", "{}", "{x}", "{f32:x}", "{bool:e}", "{u32:.}", "{u32:z}", "{u32"] {
            assert!(text.parse::<Message>().is_err(), "{text}");
        }
    }
}
