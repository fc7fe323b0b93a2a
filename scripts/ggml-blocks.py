#!/usr/bin/env python3
"""Writes kernels/tests/quant/ggml.txt: blocks as ggml quantises them, and what ggml makes of them.

    pip install libggml-python==0.20.2.post1
    scripts/ggml-blocks.py > kernels/tests/quant/ggml.txt

A line is a format, the bytes of 512 weights, and the weights that ggml reads out of them, as f32; all in hexadecimal, numbers little-endian.
"""

import ctypes
import math
import pathlib

import libggml

FORMATS = {"Q4_0": (2, "q4_0"), "Q8_0": (8, "q8_0"), "Q4_K": (12, "q4_K"), "Q6_K": (14, "q6_K")}
COUNT = 512


def main():
    folder = pathlib.Path(libggml.__file__).parent
    library = next(p for d in ("lib64", "lib") for p in (folder / d).glob("libggml-base.so*"))
    ggml = ctypes.CDLL(str(library))
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    # Of several magnitudes, so that scales and mins of parts differ.
    weights = [math.sin(i * i * 0.37) * (1 + i // 32 % 7) + 0.2 * (i // 64 % 3) for i in range(COUNT)]
    weights = (ctypes.c_float * COUNT)(*weights)
    for name, (number, suffix) in FORMATS.items():
        blocks, back = (ctypes.c_uint8 * (4 * COUNT))(), (ctypes.c_float * COUNT)()
        one = [ctypes.c_int64(x) for x in (0, 1, COUNT)]
        size = ggml.ggml_quantize_chunk(number, weights, blocks, *one, None)
        getattr(ggml, f"dequantize_row_{suffix}")(blocks, back, ctypes.c_int64(COUNT))
        print(name, bytes(blocks[:size]).hex(), bytes(back).hex())


main()
