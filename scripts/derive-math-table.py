#!/usr/bin/env python3
"""Writes the truth that the f64 math functions are tested against.

    scripts/derive-math-table.py [COUNT] > kernel-ir/tests/math/reference_f64.txt

Each line: the function, the bits of its arguments, the bits of the rounded result, and what is
missing from that to the true result in ulp of the rounded one. COUNT is the number of arguments for
each function (default 160, as checked in). Needs mpmath (pip install mpmath).
"""

import math
import random
import struct
import sys

import mpmath as mp

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 160
RANDOM = random.Random(20)


def bits(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def of_bits(b):
    return struct.unpack("<d", struct.pack("<Q", b))[0]


def rounded(y):
    """The nearest f64 of an mp number and the rest in ulp of it; None where it overflows."""
    if y == 0:
        return 0.0, 0.0
    _, e = mp.frexp(y)
    ulp = max(e - 53, -1074)
    n = mp.nint(mp.ldexp(y, -ulp))
    try:
        near = math.ldexp(int(n), ulp)
    except OverflowError:
        return None
    # A result that rounds up to a power of two has the ulp of that.
    own = max(math.frexp(near)[1] - 53, -1074) if near else -1074
    return near, float(mp.ldexp(y, -own) - mp.ldexp(mp.mpf(near), -own))


def uniform(low, high):
    return lambda: RANDOM.uniform(low, high)


def any_exponent(low, high, signed=True):
    """Random mantissa and sign, exponents of 2 from low to high."""

    def draw():
        x = math.ldexp(RANDOM.uniform(1, 2), RANDOM.randint(low, high))
        return -x if signed and RANDOM.random() < 0.5 else x

    return draw


def near(center, low, high):
    spread = any_exponent(low, high)
    return lambda: center + spread()


def near_quarter_turns():
    """Arguments as near a multiple of pi / 2 as their exponent allows, by continued fractions."""
    exponent = RANDOM.choice([RANDOM.randint(-50, 0), RANDOM.randint(0, 60), RANDOM.randint(0, 970)])
    x = mp.ldexp(2 / mp.pi, exponent)
    before, q = 0, 1
    while True:
        x = x - mp.floor(x)
        if x == 0:
            break
        x = 1 / x
        before, q = q, int(mp.floor(x)) * q + before
        if q >= 2**53:
            break
    return math.ldexp(before, exponent)


ONE = {
    "exp": (mp.exp, [uniform(-746, 710), uniform(-1, 1), any_exponent(-60, 9), near(-708.4, -5, 3)]),
    "exp2": (lambda x: mp.mpf(2) ** x, [uniform(-1076, 1024), uniform(-1, 1), any_exponent(-60, 9), near(-1022, -5, 3)]),
    "log": (mp.log, [any_exponent(-1074, 1023, False), uniform(0.5, 2), near(1, -52, -2), uniform(0, 100)]),
    "log2": (lambda x: mp.log(x) / mp.log(2), [any_exponent(-1074, 1023, False), uniform(0.5, 2), near(1, -52, -2)]),
    "sin": (mp.sin, [uniform(-10, 10), any_exponent(-40, 45), any_exponent(0, 1023), near_quarter_turns]),
    "cos": (mp.cos, [uniform(-10, 10), any_exponent(-20, 45), any_exponent(0, 1023), near_quarter_turns]),
    "tanh": (mp.tanh, [uniform(-1, 1), uniform(-20, 20), any_exponent(-60, 4), near(0.625, -20, -4)]),
    "erf": (mp.erf, [uniform(-1, 1), uniform(-6, 6), any_exponent(-60, 2), near(1, -20, -4)]),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), [any_exponent(-1074, 1023, False), uniform(0, 4)]),
}


def power():
    kind = RANDOM.randrange(4)
    if kind == 0:
        x = any_exponent(-1074, 1023, False)()
        return x, RANDOM.uniform(-1075, 1024) / math.log2(x)
    if kind == 1:
        x = near(1, -40, -1)()
        return x, RANDOM.uniform(-1075, 1024) / math.log2(x)
    if kind == 2:
        return RANDOM.uniform(0, 10), RANDOM.uniform(-10, 10)
    return -RANDOM.uniform(0.5, 20), float(RANDOM.randint(-200, 200))


def line(name, arguments, y):
    result = rounded(y)
    if result is not None:
        near, rest = result
        words = [f"{bits(x):016x}" for x in (*arguments, near)]
        print(name, *words, f"{rest:.6f}")


def main():
    mp.mp.prec = 1400
    for name, (f, draws) in ONE.items():
        for i in range(COUNT):
            x = draws[i % len(draws)]()
            line(name, (x,), f(mp.mpf(x)))
    for _ in range(2 * COUNT):
        x, y = power()
        line("pow", (x, y), mp.mpf(x) ** mp.mpf(y))


main()
