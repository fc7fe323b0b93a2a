"""PyTorch's attention in the shapes of gpu-bench: `attention.py --csv FILE`.

Times every backend that `scaled_dot_product_attention` has here (cuDNN, flash) and keeps the best, in
bf16, by CUDA events, best of 10 after one to warm up. Prints one line and one row a shape.
"""

import sys

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

SHAPES = [(2048, 8), (4096, 4), (16384, 1)]
BACKENDS = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION]


def best_of(run, rounds=10):
    best = float("inf")
    for i in range(rounds + 1):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
        if i > 0:
            best = min(best, begin.elapsed_time(end) / 1e3)
    return best


def time_backends(q, k, v, causal):
    times = {}
    for backend in BACKENDS:
        try:
            with sdpa_kernel(backend):
                times[backend.name] = best_of(
                    lambda: scaled_dot_product_attention(q, k, v, is_causal=causal)
                )
        except RuntimeError as error:
            print(f"  no {backend.name}: {str(error).splitlines()[0]}")
    return times


def main():
    if len(sys.argv) != 3 or sys.argv[1] != "--csv":
        sys.exit("usage: attention.py --csv FILE")
    device = torch.cuda.get_device_name().replace(",", ";")
    with open(sys.argv[2], "w") as csv:
        csv.write("machine,torch,case,shape,rate,unit,backend\n")
        for tokens, batch in SHAPES:
            for causal in (False, True):
                for d in (64, 128):
                    heads = 2048 // d
                    shape = (batch, heads, tokens, d)
                    q, k, v = (
                        torch.randn(shape, device="cuda", dtype=torch.bfloat16) for _ in range(3)
                    )
                    times = time_backends(q, k, v, causal)
                    if not times:
                        continue
                    backend = min(times, key=times.get)
                    share = 0.5 if causal else 1.0
                    work = 4.0 * batch * heads * d * tokens**2 * share
                    rate = work / times[backend] / 1e12
                    case = f"attention d{d}{' causal' if causal else ''}"
                    text = f"{batch}x{heads}x{tokens}"
                    print(f"{case:22} {text:16} {rate:9.1f} TFLOP/s by {backend}")
                    row = [device, torch.__version__, case, text, f"{rate:.2f}", "TFLOP/s", backend]
                    csv.write(",".join(row) + "\n")


if __name__ == "__main__":
    main()
