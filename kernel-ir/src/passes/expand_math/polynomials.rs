//! The polynomials of the functions, from the constant coefficient up, and the constants
//! that need more than one float. Written by `scripts/derive-polynomials.py`, which says how
//! the coefficients are found; do not edit.
#![allow(clippy::approx_constant, reason = "coefficients are near constants by nature")]

use super::math::Floats;

/// `2^f` on [-1, 1]. Relative error of the function 2^-26.14, 2^-56.55.
pub(super) const EXP2: Floats = Floats {
    single: &[
        1.0,
        0.69314724,
        0.24022669,
        0.05550366,
        0.009616839,
        0.0013341795,
        0.00015645855,
        1.4909433e-05,
    ],
    double: &[
        1.0,
        0.6931471805599453,
        0.2402265069591003,
        0.05550410866482282,
        0.009618129107637392,
        0.0013333558146310543,
        0.00015403530387182293,
        1.5252733847248943e-05,
        1.3215488728002371e-06,
        1.0178078768012768e-07,
        7.054609348796439e-09,
        4.4460757919028763e-10,
        2.5908319068749805e-11,
        1.3583258967282719e-12,
    ],
};

/// `2^f` on [0, 1]. Relative error of the function 2^-23.53.
pub(super) const EXP2_UNIT: Floats = Floats {
    single: &[1.0, 0.6931513, 0.24016458, 0.055799596, 0.009017343, 0.0018670248],
    double: &[],
};

/// `2^f` on [-1/2, 1/2]. Relative error of the function 2^-28.32, 2^-57.76.
pub(super) const EXP2_HALF: Floats = Floats {
    single: &[1.0, 0.6931472, 0.24022648, 0.0555036, 0.009618506, 0.0013390806, 0.00015326474],
    double: &[
        1.0,
        0.6931471805599453,
        0.24022650695910108,
        0.05550410866482172,
        0.0096181291076016,
        0.0013333558146546847,
        0.00015403530449041014,
        1.5252733633068109e-05,
        1.3215438834475877e-06,
        1.0178160564835796e-07,
        7.0732330785906415e-09,
        4.4387660272454054e-10,
    ],
};

/// `e^r` on [-ln 2, ln 2]. Relative error of the function 2^-26.04, 2^-56.47.
pub(super) const EXP: Floats = Floats {
    single: &[
        1.0,
        1.0,
        0.50000036,
        0.16666618,
        0.041661233,
        0.008335938,
        0.0014104666,
        0.0001962874,
    ],
    double: &[
        1.0,
        1.0,
        0.4999999999999993,
        0.16666666666666935,
        0.041666666666702115,
        0.008333333333270342,
        0.001388888888357419,
        0.00019841269892412325,
        2.4801590831243358e-05,
        2.7557300795564173e-06,
        2.7556157771390506e-07,
        2.50550068112444e-08,
        2.106235255759124e-09,
        1.5937435499673835e-10,
    ],
};

/// `(tanh x - x) / x^3` by `x^2`, for `|x|` up to `TANH_SPLIT`. Relative error of the function 2^-27.72, 2^-56.42.
pub(super) const TANH: Floats = Floats {
    single: &[-0.3333328, 0.13331406, -0.053736515, 0.02062817, -0.005692299],
    double: &[
        -0.33333333333332854,
        0.13333333333261935,
        -0.05396825393119551,
        0.021869487574450668,
        -0.008863220981187326,
        0.0035919890013781665,
        -0.0014549579943842438,
        0.0005863136490178286,
        -0.00022855836444185903,
        7.71377118763011e-05,
        -1.6069309848055984e-05,
    ],
};

/// `(sin r - r) / r^3` by `r^2`, for `|r|` up to 0.791. Relative error of the function 2^-27.84, 2^-63.2.
pub(super) const SIN: Floats = Floats {
    single: &[-0.16666654, 0.008332106, -0.00019507886],
    double: &[
        -0.16666666666666666,
        0.008333333333333045,
        -0.0001984126984096967,
        2.755731907913406e-06,
        -2.505207257975935e-08,
        1.605455742083715e-10,
        -7.403160143558763e-13,
    ],
};

/// `(cos r - 1) / r^2` by `r^2`, for `|r|` up to 0.791. Relative error of the function 2^-24.54, 2^-63.77.
pub(super) const COS: Floats = Floats {
    single: &[-0.4999988, 0.04165551, -0.001358812],
    double: &[
        -0.5,
        0.04166666666666659,
        -0.0013888888888872121,
        2.480158728822731e-05,
        -2.7557313989667747e-07,
        2.087567402065252e-09,
        -1.1357101383215855e-11,
    ],
};

/// `(atanh(s) - s - s^3 / 3) / s^5` by `s^2`, for `(1 + s) / (1 - s)` in [sqrt 1/2, sqrt 2]. Relative error of the function 2^-36.77, 2^-73.48.
pub(super) const ATANH: Floats = Floats {
    single: &[0.20000076, 0.14273542, 0.117098756],
    double: &[
        0.1999999999999999,
        0.14285714285721918,
        0.11111111108895891,
        0.09090909421848183,
        0.07692279225250771,
        0.06668131809255852,
        0.05837899456081241,
        0.05990800643134148,
    ],
};

/// `(ln(1 + f) - f) / f^2` for `1 + f` in [sqrt 1/2, sqrt 2]. Relative error of the function 2^-27.82.
pub(super) const LOG1P: Floats = Floats {
    single: &[
        -0.49999988,
        0.33333325,
        -0.2500161,
        0.20002005,
        -0.16608404,
        0.14180867,
        -0.13248208,
        0.1291278,
        -0.07618275,
    ],
    double: &[],
};

/// `(2 atanh(s) - 2 s) / s^3` by `s^2`, for `(1 + s) / (1 - s)` in [sqrt 1/2, sqrt 2]. Relative error of the function 2^-58.49.
pub(super) const LOG_ATANH: Floats = Floats {
    single: &[],
    double: &[
        0.6666666666666734,
        0.3999999999941705,
        0.2857142874189083,
        0.22222198622509054,
        0.1818356179562314,
        0.15314115143015794,
        0.14795302259082455,
    ],
};

/// `erf(x) / x - 1` by `x^2`, for `|x|` up to `ERF_SPLIT`. Relative error of the function 2^-26.07, 2^-56.32.
pub(super) const ERF_SMALL: Floats = Floats {
    single: &[0.12837915, -0.37612516, 0.112821706, -0.0267816, 0.0050169323, -0.0006118041],
    double: &[
        0.1283791670955126,
        -0.37612638903183987,
        0.11283791670964277,
        -0.026866170646807096,
        0.0052239776420617496,
        -0.0008548328000762542,
        0.00012055369194602169,
        -1.4926525892443256e-05,
        1.6476091095583815e-06,
        -1.6511237530584566e-07,
        1.5744280957636407e-08,
        -1.5559887533176636e-09,
        1.3014095530701542e-10,
    ],
};

/// `log2(erfc(x))` by `x - ERF_SPLIT`, up to `ERF_END`. Relative error of the function 2^-29.05, 2^-57.2.
pub(super) const ERF_BIG: Floats = Floats {
    single: &[
        -2.299796,
        -3.5658135,
        -1.1974734,
        -0.065969326,
        0.015780643,
        -0.0028864339,
        0.00028771796,
    ],
    double: &[
        -2.6684166967815997,
        -3.8072253458535856,
        -1.2163466576874058,
        -0.059959990006163824,
        0.014475749665440194,
        -0.0028535066288951265,
        0.0003423649493257202,
        3.798028476502083e-05,
        -3.936343118215497e-05,
        1.4211130993277816e-05,
        -3.474502114120226e-06,
        7.574082084439755e-07,
        -3.2141506812994367e-07,
        2.2166377855655351e-07,
        -1.2385491482555267e-07,
        4.9634821675468396e-08,
        -1.4195046816188827e-08,
        2.8478676063079855e-09,
        -3.818378037314272e-10,
        3.0750255443976336e-11,
        -1.1246221344671355e-12,
    ],
};

/// `ln 2` as a sum.
pub(super) const LN2: Floats = Floats {
    single: &[0.6931472, -1.9046542e-09],
    double: &[0.6931471805599453, 2.3190468138462996e-17],
};

/// `log2 e` as a sum.
pub(super) const LOG2_E: Floats = Floats {
    single: &[1.442695, 1.925963e-08],
    double: &[1.4426950408889634, 2.0355273740931033e-17],
};

/// 1/3 as a sum.
pub(super) const THIRD: Floats = Floats {
    single: &[0.33333334, -9.934108e-09],
    double: &[0.3333333333333333, 1.850371707708594e-17],
};

/// `pi / 2` as a sum.
pub(super) const HALF_PI: Floats = Floats {
    single: &[1.5707964, -4.371139e-08, -1.7151245e-15],
    double: &[1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33],
};

/// `2 / pi`.
pub(super) const TWO_OVER_PI: Floats =
    Floats { single: &[0.63661975], double: &[0.6366197723675814] };

/// Where `tanh` goes from its polynomial to the exponential.
pub(super) const TANH_SPLIT: Floats = Floats { single: &[0.625], double: &[0.625] };

/// Where `erf` goes from one polynomial to the other.
pub(super) const ERF_SPLIT: Floats = Floats { single: &[0.9], double: &[1.0] };

/// From here on `erf` is 1.
pub(super) const ERF_END: Floats = Floats { single: &[4.0], double: &[6.0] };

/// The fraction bits of `2 / pi`, the first word the most significant.
pub(super) const TWO_OVER_PI_BITS: [u64; 20] = [
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
    0xf0cfbc209af4361d,
];
