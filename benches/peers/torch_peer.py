"""PyTorch as a peer of the benchmarks: reads cases from standard input, a line each, and answers with seconds.

    prepare product bf16 nt 8 4096 4096     M, N, K; B as K x N ("nn") or as N x K ("nt")
    prepare attention f32 causal 8 2048 2048 64     heads, queries, keys, dimension; "causal" or "full"
    prepare backward f32 full 8 2048 2048 64        gradients of that by queries, keys and values
    prepare rows softmax 4096 4096          softmax, layer_norm, rms_norm, gelu, silu of rows x columns
    run 0.02                                the best of the calls that so many seconds have time for

`prepare` answers "ready" or "error <why>". Outputs of products and element-wise functions are allocated before,
where PyTorch can write to such.
"""

import sys
import time

import torch
import torch.nn.functional as F

TYPES = {"f32": torch.float32, "f64": torch.float64, "bf16": torch.bfloat16, "f16": torch.float16}


def product(kind, order, m, n, k):
    m, n, k = int(m), int(n), int(k)
    a = torch.randn(m, k).to(TYPES[kind])
    b = torch.randn(n, k).to(TYPES[kind]).t() if order == "nt" else torch.randn(k, n).to(TYPES[kind])
    c = torch.empty(m, n, dtype=TYPES[kind])
    return lambda: torch.mm(a, b, out=c)


def attention(kind, mask, heads, queries, keys, dimension):
    shape = lambda rows: (1, int(heads), int(rows), int(dimension))
    q, k, v = (torch.randn(shape(rows)).to(TYPES[kind]) for rows in (queries, keys, keys))
    return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=mask == "causal")


def backward(kind, mask, heads, queries, keys, dimension):
    shape = lambda rows: (1, int(heads), int(rows), int(dimension))
    with torch.enable_grad():
        q, k, v = (torch.randn(shape(rows)).to(TYPES[kind]).requires_grad_() for rows in (queries, keys, keys))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=mask == "causal")
    d_out = torch.randn(shape(queries)).to(TYPES[kind])
    return lambda: torch.autograd.grad(out, (q, k, v), d_out, retain_graph=True)


def rows(function, count, columns):
    x = torch.randn(int(count), int(columns))
    y, w = torch.empty_like(x), torch.ones(int(columns))
    return {
        "softmax": lambda: torch.softmax(x, 1, out=y),
        "layer_norm": lambda: F.layer_norm(x, (int(columns),), w, w),
        "rms_norm": lambda: F.rms_norm(x, (int(columns),), w),
        "gelu": lambda: torch.ops.aten.gelu.out(x, approximate="tanh", out=y),
        "silu": lambda: torch.ops.aten.silu.out(x, out=y),
    }[function]


def main():
    torch.set_grad_enabled(False)
    torch.set_num_threads(int(sys.argv[1]))
    call = None
    for line in sys.stdin:
        command, *words = line.split()
        try:
            if command == "prepare":
                call = {"product": product, "attention": attention, "backward": backward, "rows": rows}[words[0]](*words[1:])
                call()
                answer = "ready"
            else:
                # As many calls as fit into so many seconds, one at least.
                best, end = float("inf"), time.perf_counter() + float(words[0])
                while best == float("inf") or time.perf_counter() < end:
                    start = time.perf_counter()
                    call()
                    best = min(best, time.perf_counter() - start)
                answer = f"{best:.9f}"
        except Exception as error:
            answer = f"error {error!r}"
        print(answer, flush=True)


main()
