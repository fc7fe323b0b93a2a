#!/usr/bin/env python3
"""Derives the polynomials of kernel-ir/src/passes/expand_math and writes polynomials.rs there.

Each is the weighted minimax fit by Remez's second algorithm (E. Y. Remez, 1934; in the form of
J.-M. Muller, "Elementary Functions", chapter 3): solve for the coefficients that make the error
equal and alternating at a set of points, move the points to where the error is extreme, repeat.
Coefficients become floats one at a time from the lowest, each time fitting those above anew, so
that later ones make up for the rounding of earlier ones.

Needs Python with mpmath (pip install mpmath). The output is checked in; run this only to change
it: scripts/derive-polynomials.py && cargo fmt -p kernelsmith-ir
"""

import struct
import sys
from pathlib import Path

import mpmath as mp

mp.mp.prec = 240
OUT = Path(__file__).parent.parent / "kernel-ir/src/passes/expand_math/polynomials.rs"


def to_f32(x):
    """The nearest f32, as an exact mp number (normal range only)."""
    m, e = mp.frexp(x)
    return mp.ldexp(mp.nint(mp.ldexp(m, 24)), e - 24)


def to_f64(x):
    m, e = mp.frexp(x)
    return mp.ldexp(mp.nint(mp.ldexp(m, 53)), e - 53)


ROUND = {"f32": to_f32, "f64": to_f64}


def literal(x, ty):
    """The shortest decimal that reads back as the same float."""
    x = float(x)
    if ty == "f64":
        text = repr(x)
    else:
        bits = struct.pack("f", x)
        text = next(t for t in (f"{x:.{d}e}" for d in range(10)) if struct.pack("f", float(t)) == bits)
        text = repr(float(text))
    return text if "." in text or "e" in text else text + ".0"


def remez(f, weight, lo, hi, powers):
    """Coefficients of x^p, p in powers, that minimise max |weight(x) (f(x) - poly(x))|."""
    n = len(powers) + 1
    grid = [(lo + hi) / 2 + (hi - lo) / 2 * mp.cos(mp.pi * (i + mp.mpf(1) / 3) / 600) for i in range(600)]
    values = [(x, f(x), weight(x)) for x in reversed(grid)]
    at = [round((i + 0.5) * 600 / n) for i in range(n)]
    best = None
    for _ in range(40):
        rows = mp.matrix(n, n)
        right = mp.matrix(n, 1)
        for r, i in enumerate(at):
            x, y, w = values[i]
            for c, p in enumerate(powers):
                rows[r, c] = x**p
            rows[r, n - 1] = (-1) ** r / w
            right[r] = y
        solution = mp.lu_solve(rows, right)
        coefficients = [solution[c] for c in range(n - 1)]
        errors = [w * (y - sum(c * x**p for c, p in zip(coefficients, powers))) for x, y, w in values]
        worst = max(abs(e) for e in errors)
        if best is None or worst < best[0]:
            best = (worst, coefficients)
        if worst < abs(solution[n - 1]) * mp.mpf("1.02"):
            break
        # The extreme of each stretch of one sign; of these the greatest n that alternate.
        extremes, start = [], 0
        for i in range(1, len(errors) + 1):
            if i == len(errors) or (errors[i] > 0) != (errors[start] > 0):
                extremes.append(max(range(start, i), key=lambda k: abs(errors[k])))
                start = i
        size = lambda k: abs(errors[extremes[k]])
        while len(extremes) > n:
            last = len(extremes) - 1
            least = min(range(last + 1), key=size)
            if len(extremes) == n + 1 or least in (0, last):
                extremes.pop(0 if size(0) < size(last) else last)
            else:
                other = min(least - 1, least + 1, key=size)
                del extremes[min(least, other) : max(least, other) + 1]
        if len(extremes) < n:
            break
        at = extremes
    return best


def fit(f, lo, hi, degree, ty, weight=lambda x: mp.mpf(1), exact=()):
    """Float coefficients from the constant up; the first ones as `exact` says."""
    fixed = list(exact)
    lo, hi = mp.mpf(lo), mp.mpf(hi)
    while len(fixed) <= degree:
        # The powers that are left, divided by the lowest, span a Haar space also across zero.
        k = len(fixed)
        rest = lambda x: (f(x) - sum(c * x**p for p, c in enumerate(fixed))) / x**k
        scaled = lambda x: abs(weight(x) * x**k)
        error, coefficients = remez(rest, scaled, lo, hi, list(range(degree + 1 - k)))
        fixed.append(ROUND[ty](coefficients[0]))
    final = max(
        abs(weight(x) * (f(x) - mp.polyval(fixed[::-1], x)))
        for x in (lo + (hi - lo) * (i + mp.mpf(1) / 3) / 1000 for i in range(1000))
    )
    return fixed, final


FITS = {}


def polynomial(name, ty, doc, f, lo, hi, degree, **options):
    """Registers a polynomial of one type; the doc comment is that of the last type."""
    FITS.setdefault(name, {})[ty] = (doc, f, lo, hi, degree, options)


ln2 = mp.log(2)
root = mp.sqrt(mp.mpf(1) / 2)


def tanh_tail(z):
    x = mp.sqrt(z)
    return (mp.tanh(x) - x) / x**3


def log1p_tail(x):
    return (mp.log1p(x) - x) / x**2


def atanh_tail(z):
    """(2 atanh(s) - 2 s) / s^3 by z = s^2."""
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) - 2 * s) / s**3


def atanh_tail2(z):
    s = mp.sqrt(z)
    return (mp.atanh(s) - s - s**3 / 3) / s**5


def sin_tail(z):
    r = mp.sqrt(z)
    return (mp.sin(r) - r) / r**3


def cos_tail(z):
    return (mp.cos(mp.sqrt(z)) - 1) / z


def erf_tail(z):
    x = mp.sqrt(z)
    return mp.erf(x) / x - 1


def log2_erfc(x):
    return mp.log(mp.erfc(x)) / ln2


def sqrt_of(f):
    return lambda z: f(mp.sqrt(z))


# (m - 1) / (m + 1) at sqrt 2, squared.
s_max = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2
quarter = mp.mpf("0.791") ** 2

for ty, exp2, unit, half, exp, tanh, sin, cos, atanh in [
    ("f32", 7, 5, 6, 7, 4, 2, 2, 2),
    ("f64", 13, None, 11, 13, 10, 6, 6, 7),
]:
    one = [mp.mpf(1)]
    power = lambda x: mp.mpf(2) ** x
    inverse = lambda x: mp.mpf(2) ** -x
    polynomial("EXP2", ty, "`2^f` on [-1, 1].", power, -1, 1, exp2, weight=inverse, exact=one)
    if unit:
        polynomial("EXP2_UNIT", ty, "`2^f` on [0, 1].", power, 0, 1, unit, weight=inverse, exact=one)
    polynomial("EXP2_HALF", ty, "`2^f` on [-1/2, 1/2].", power, -0.5, 0.5, half, weight=inverse, exact=one)
    polynomial("EXP", ty, "`e^r` on [-ln 2, ln 2].", mp.exp, -ln2, ln2, exp,
               weight=lambda x: mp.exp(-x), exact=one * 2)
    polynomial("TANH", ty, "`(tanh x - x) / x^3` by `x^2`, for `|x|` up to `TANH_SPLIT`.", tanh_tail,
               0, mp.mpf("0.625") ** 2, tanh, weight=sqrt_of(lambda x: x**3 / mp.tanh(x)))
    polynomial("SIN", ty, "`(sin r - r) / r^3` by `r^2`, for `|r|` up to 0.791.", sin_tail,
               0, quarter, sin, weight=sqrt_of(lambda r: r**3 / mp.sin(r)))
    polynomial("COS", ty, "`(cos r - 1) / r^2` by `r^2`, for `|r|` up to 0.791.", cos_tail,
               0, quarter, cos, weight=lambda z: z / mp.cos(mp.sqrt(z)))
    polynomial("ATANH", ty, "`(atanh(s) - s - s^3 / 3) / s^5` by `s^2`, for `(1 + s) / (1 - s)` in [sqrt 1/2, sqrt 2].",
               atanh_tail2, 0, s_max, atanh, weight=sqrt_of(lambda s: s**5 / mp.atanh(s)))

polynomial("LOG1P", "f32", "`(ln(1 + f) - f) / f^2` for `1 + f` in [sqrt 1/2, sqrt 2].", log1p_tail,
           root - 1, mp.sqrt(2) - 1, 8, weight=lambda x: x**2 / mp.log1p(x))
polynomial("LOG_ATANH", "f64",
           "`(2 atanh(s) - 2 s) / s^3` by `s^2`, for `(1 + s) / (1 - s)` in [sqrt 1/2, sqrt 2].",
           atanh_tail, 0, s_max, 6, weight=sqrt_of(lambda s: s**3 / mp.atanh(s)))

for ty, split, small, big, end in [("f32", to_f32(mp.mpf("0.9")), 5, 6, 4), ("f64", mp.mpf(1), 12, 20, 6)]:
    polynomial("ERF_SMALL", ty, "`erf(x) / x - 1` by `x^2`, for `|x|` up to `ERF_SPLIT`.",
               erf_tail, 0, split**2, small, weight=sqrt_of(lambda x: x / mp.erf(x)))
    polynomial("ERF_BIG", ty, "`log2(erfc(x))` by `x - ERF_SPLIT`, up to `ERF_END`.",
               lambda d, split=split: log2_erfc(d + split), 0, end - split, big,
               weight=lambda d, split=split: mp.erfc(d + split) * ln2)


def parts(x, ty, count):
    """A constant as a sum of floats, each the nearest to what those before leave."""
    found = []
    for _ in range(count):
        found.append(ROUND[ty](x - sum(found)))
    return found


CONSTANTS = [
    ("LN2", "`ln 2` as a sum.", ln2, 2),
    ("LOG2_E", "`log2 e` as a sum.", 1 / ln2, 2),
    ("THIRD", "1/3 as a sum.", mp.mpf(1) / 3, 2),
    ("HALF_PI", "`pi / 2` as a sum.", mp.pi / 2, 3),
    ("TWO_OVER_PI", "`2 / pi`.", 2 / mp.pi, 1),
    ("TANH_SPLIT", "Where `tanh` goes from its polynomial to the exponential.", None, 1),
    ("ERF_SPLIT", "Where `erf` goes from one polynomial to the other.", None, 1),
    ("ERF_END", "From here on `erf` is 1.", None, 1),
]


def two_over_pi_words(count):
    mp.mp.prec = 64 * count + 64
    bits = int(mp.floor(mp.ldexp(2 / mp.pi, 64 * count)))
    mp.mp.prec = 240
    return [(bits >> 64 * (count - 1 - i)) & (2**64 - 1) for i in range(count)]


def floats(doc, name, of):
    """A `Floats` constant; a type that is not needed has none."""
    lists = {ty: ", ".join(literal(c, ty) for c in of.get(ty, ())) for ty in ("f32", "f64")}
    return [
        f"/// {doc}",
        f"pub(super) const {name}: Floats = Floats {{ single: &[{lists['f32']}], double: &[{lists['f64']}] }};",
        "",
    ]


def main():
    only = sys.argv[1:]
    lines = [
        "//! The polynomials of the functions, from the constant coefficient up, and the constants",
        "//! that need more than one float. Written by `scripts/derive-polynomials.py`, which says how",
        "//! the coefficients are found; do not edit.",
        "#![allow(clippy::approx_constant, reason = \"coefficients are near constants by nature\")]",
        "",
        "use super::math::Floats;",
        "",
    ]
    for name, types in FITS.items():
        if only and name not in only:
            continue
        of, errors = {}, []
        for ty, (doc, f, lo, hi, degree, options) in types.items():
            of[ty], error = fit(f, lo, hi, degree, ty, **options)
            errors.append("2^" + mp.nstr(mp.log(error, 2), 4))
            print(name, ty, errors[-1], flush=True)
        lines += floats(f"{doc} Relative error of the function {', '.join(errors)}.", name, of)
    special = {"TANH_SPLIT": (0.625, 0.625), "ERF_SPLIT": (0.9, 1.0), "ERF_END": (4.0, 6.0)}
    for name, doc, x, count in CONSTANTS:
        if x is None:
            of = dict(zip(("f32", "f64"), ([mp.mpf(v)] for v in special[name])))
            of = {ty: [ROUND[ty](v) for v in list] for ty, list in of.items()}
        else:
            of = {ty: parts(x, ty, count) for ty in ("f32", "f64")}
        lines += floats(doc, name, of)
    words = ", ".join(f"{w:#018x}" for w in two_over_pi_words(20))
    lines.append("/// The fraction bits of `2 / pi`, the first word the most significant.")
    lines.append(f"pub(super) const TWO_OVER_PI_BITS: [u64; 20] = [{words}];")
    if not only:
        OUT.write_text("\n".join(lines) + "\n")


main()
