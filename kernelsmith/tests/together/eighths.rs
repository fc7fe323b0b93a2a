//! 8-bit floats: every code, every f16, and f32s of all sizes, against a search for the nearest
//! value in `f64`.

use kernelsmith::prelude::*;

use crate::harness::{Run, TARGETS};

/// A format as its specification has it, not as the compiler does.
struct Format {
    /// The values that are not negative, by code.
    values: Vec<f64>,
}

impl Format {
    fn new(exponents: u32, fractions: u32, max: f64) -> Format {
        let bias = (1 << (exponents - 1)) - 1;
        let value = |code: i32| {
            let (exponent, fraction) = (code >> fractions, code % (1 << fractions));
            let part = f64::from(fraction) / f64::from(1 << fractions);
            match exponent {
                0 => part * 2f64.powi(1 - bias),
                _ => (1.0 + part) * 2f64.powi(exponent - bias),
            }
        };
        let values = (0..0x7f).map(value).take_while(|&v| v <= max).collect();
        Format { values }
    }

    /// The code of the nearest value; `None` for NaN.
    fn nearest(&self, x: f64) -> Option<u8> {
        if x.is_nan() {
            return None;
        }
        // What is too large is as the largest.
        let magnitude = x.abs().min(self.values[self.values.len() - 1]);
        let above = self.values.partition_point(|&v| v < magnitude).min(self.values.len() - 1);
        let below = above.saturating_sub(1);
        let distance = |code: usize| (self.values[code] - magnitude).abs();
        let code = match distance(below).total_cmp(&distance(above)) {
            std::cmp::Ordering::Less => below,
            std::cmp::Ordering::Equal if below % 2 == 0 => below,
            _ => above,
        };
        Some(code as u8 | u8::from(x.is_sign_negative()) << 7)
    }
}

/// Every f16, the middles between neighbours and what lies beside them, and numbers from anywhere.
fn inputs(format: &Format) -> Vec<f32> {
    let halves = (0..=u16::MAX).map(|bits| f16::from_bits(bits).to_f32());
    let middles = format.values.windows(2).flat_map(|pair| {
        let middle = ((pair[0] + pair[1]) / 2.0) as f32;
        [middle.next_down(), middle, middle.next_up(), -middle]
    });
    let mut state = 1u32;
    let random = std::iter::repeat_with(move || {
        state = state.wrapping_mul(747796405).wrapping_add(2891336453);
        f32::from_bits(state ^ state >> 15)
    });
    let mut all: Vec<f32> = halves.chain(middles).collect();
    let rest = all.len().next_multiple_of(256) - all.len() + 4096;
    all.extend(random.take(rest));
    all
}

macro_rules! conversions {
    ($ty:ident $narrow:ident $widen:ident $halves:ident) => {
        #[kernel]
        fn $narrow(x: &[f32], out: &mut [$ty]) {
            let i = global_idx_x();
            out[i] = x[i] as $ty;
        }

        /// Through memory of the block, a variable and a choice.
        #[kernel(block = 256)]
        fn $widen(x: &[$ty], out: &mut [f32]) {
            let i = thread_idx_x();
            let tile = shared::<$ty>(256);
            tile[255 - i] = x[i];
            barrier();
            let mut code = tile[255 - i];
            if i > 300 {
                code = $ty::from_bits(0);
            }
            out[i] = code.to_f32();
        }

        /// 16-bit floats both ways, and the bits.
        #[kernel]
        fn $halves(x: &[$ty], out: &mut [u32]) {
            let i = global_idx_x();
            let (a, b) = (x[i] as f16, x[i] as bf16);
            let bits = (a as $ty).to_bits() as u32 | ((b as $ty).to_bits() as u32) << 8;
            out[i] = bits | (x[i].to_bits() as u32) << 16 | ((x[i] as i32 as u8) as u32) << 24;
        }
    };
}

conversions!(e4m3 narrow_e4m3 widen_e4m3 halves_e4m3);
conversions!(e5m2 narrow_e5m2 widen_e5m2 halves_e5m2);

macro_rules! check {
    ($ty:ident, $narrow:ident, $widen:ident, $halves:ident, $format:expr) => {
        let format = $format;
        let x = inputs(&format);
        let is = |x: f32, code: $ty| match format.nearest(x.into()) {
            Some(expected) => assert_eq!(code.to_bits(), expected, "{x:e}"),
            None => assert!(code.is_nan(), "NaN is {code}"),
        };
        // On the host.
        x.iter().for_each(|&x| is(x, $ty::from_f32(x)));
        let zeros = vec![$ty::default(); x.len()];
        let grid = x.len() / 256;
        let run = Run { grid, block: [256, 1, 1], shared_bytes: 0, x: &x, out: &zeros };
        run.everywhere(
            |x, out| $narrow(x, out),
            |found| x.iter().zip(found).for_each(|(&x, &code)| is(x, code)),
        );
        run.compiles_for(&TARGETS, |x, out| $narrow(x, out));

        let codes: Vec<$ty> = (0..=255).map($ty::from_bits).collect();
        let values = |found: &[f32]| {
            for (code, &value) in codes.iter().zip(found) {
                let magnitude = usize::from(code.to_bits() & 0x7f);
                let sign = if code.to_bits() > 0x7f { -1.0 } else { 1.0 };
                match format.values.get(magnitude) {
                    Some(v) => assert_eq!(value.to_bits(), ((sign * v) as f32).to_bits()),
                    None if code.to_f32().is_infinite() => assert_eq!(value, code.to_f32()),
                    None => assert!(value.is_nan() && code.to_f32().is_nan()),
                }
            }
        };
        values(&codes.iter().map(|code| code.to_f32()).collect::<Vec<_>>());
        let run = Run { grid: 1, block: [256, 1, 1], shared_bytes: 0, x: &codes, out: &[0.0; 256] };
        run.everywhere(|x, out| $widen(x, out), values);
        run.compiles_for(&TARGETS, |x, out| $widen(x, out));

        let run = Run { grid: 1, block: [256, 1, 1], shared_bytes: 0, x: &codes, out: &[0; 256] };
        run.everywhere(
            |x, out| $halves(x, out),
            |found| {
                for (code, &bits) in codes.iter().zip(found) {
                    // Infinities saturate on their way back.
                    let again = $ty::from_f32(code.to_f32());
                    let [a, b, own, integer] = bits.to_le_bytes();
                    assert_eq!((own, integer), (code.to_bits(), code.to_f32() as i32 as u8));
                    let nan = |bits| $ty::from_bits(bits).is_nan();
                    let both = again.to_bits();
                    assert!((a, b) == (both, both) || (nan(a) && nan(b) && again.is_nan()));
                }
            },
        );
        run.compiles_for(&TARGETS, |x, out| $halves(x, out));
    };
}

#[test]
fn e4m3_converts_everywhere() {
    check!(e4m3, narrow_e4m3, widen_e4m3, halves_e4m3, Format::new(4, 3, 448.0));
}

#[test]
fn e5m2_converts_everywhere() {
    check!(e5m2, narrow_e5m2, widen_e5m2, halves_e5m2, Format::new(5, 2, 57344.0));
}

/// From sm_89 on by NVIDIA's own instructions, before in integers.
#[test]
fn conversions_are_native_where_they_can_be() {
    use kernelsmith::codegen::{Stage, emit};
    for (target, native) in [("sm_80", false), ("sm_90", true)] {
        let target = target.parse().unwrap();
        let ptx = emit(&narrow_e4m3_ir(&target).unwrap(), None, &target, Stage::Asm).unwrap();
        assert_eq!(ptx.contains("cvt.rn.satfinite.e4m3x2.f32"), native, "{ptx}");
    }
}
