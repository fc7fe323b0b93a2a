#!/usr/bin/env python3
"""Times ggml's products with quantised weights of 4096 x 4096, as CSV like that of `cargo bench --bench quant`.

    git clone https://github.com/ggml-org/ggml && cmake -S ggml -B build -DGGML_NATIVE=ON \\
        -DCMAKE_BUILD_TYPE=Release -DGGML_OPENMP=OFF && cmake --build build
    scripts/ggml-peer.py build/src [threads]

Both of the plain form of weights and of the one that ggml repacks for the processor, of which the faster
counts. As in the other benchmark, "memory" takes one matrix after the other out of more than the caches
hold, and of many rounds the best counts.
"""

import ctypes
import pathlib
import sys
import time

SIZE = 4096
CROWD = 128 << 20
FORMATS = {"Q4_0": (2, 18, 32), "Q8_0": (8, 34, 32), "Q4_K": (12, 144, 256), "Q6_K": (14, 210, 256)}
# Those that ggml's x86 code repacks; it takes others without a word, and then crashes.
REPACKED = ("Q4_0", "Q4_K")
POINTER, LONG = ctypes.c_void_p, ctypes.c_int64


class InitParams(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("buffer", POINTER), ("no_alloc", ctypes.c_bool)]


class Ggml:
    def __init__(self, folder):
        find = lambda name: next(pathlib.Path(folder).glob(f"**/lib{name}.so"))
        load = lambda name: ctypes.CDLL(str(find(name)), mode=ctypes.RTLD_GLOBAL)
        self.libraries = [load(name) for name in ("ggml-base", "ggml-cpu", "ggml")]

    def __call__(self, name, *arguments, result=POINTER):
        for library in self.libraries:
            try:
                function = getattr(library, name)
            except AttributeError:
                continue
            function.restype = result
            return function(*arguments)
        raise AttributeError(name)

    def repacking_buffers(self):
        """The types of buffer that repack weights as they are loaded."""
        register = self("ggml_backend_cpu_reg")
        address = self("ggml_backend_reg_get_proc_address", POINTER(register),
                       b"ggml_backend_dev_get_extra_bufts")
        if not address:
            return []
        device = self("ggml_backend_reg_dev_get", POINTER(register), ctypes.c_size_t(0))
        types = ctypes.CFUNCTYPE(ctypes.POINTER(POINTER), POINTER)(address)(device)
        found, i = [], 0
        while types and types[i]:
            found.append(types[i])
            i += 1
        return found


class Product:
    """Graphs that multiply each of some matrices with as many rows."""

    def __init__(self, ggml, backend, kind, format, m, count):
        number, size, block = FORMATS[format]
        context = lambda: POINTER(ggml("ggml_init", InitParams(1 << 22, None, True)))
        weights, others = context(), context()
        tensor = lambda c, t, n: POINTER(
            ggml("ggml_new_tensor_2d", c, ctypes.c_int(t), LONG(SIZE), LONG(n)))
        self.matrices = [tensor(weights, number, SIZE) for _ in range(count)]
        x = tensor(others, 0, m)
        self.graphs = []
        for w in self.matrices:
            y = POINTER(ggml("ggml_mul_mat", others, w, x))
            graph = POINTER(ggml("ggml_new_graph", others))
            ggml("ggml_build_forward_expand", graph, y)
            self.graphs.append(graph)
        self.buffer = ggml("ggml_backend_alloc_ctx_tensors_from_buft", weights, POINTER(kind))
        ggml("ggml_backend_alloc_ctx_tensors", others, backend)
        if not self.buffer:
            raise MemoryError
        data = bytes(i * 37 % 251 for i in range(size)) * (SIZE * SIZE // block)
        for w in self.matrices:
            ggml("ggml_backend_tensor_set", w, data, ctypes.c_size_t(0), ctypes.c_size_t(len(data)))
        self.ggml, self.backend, self.at = ggml, backend, 0

    def run(self, which=None):
        self.at = self.at % (len(self.graphs) - 1) + 1 if which is None and len(self.graphs) > 1 else 0
        start = time.perf_counter()
        self.ggml("ggml_backend_graph_compute", self.backend, self.graphs[self.at])
        return (time.perf_counter() - start) * 1e6


def main():
    ggml = Ggml(sys.argv[1])
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    backend = POINTER(ggml("ggml_backend_cpu_init"))
    ggml("ggml_backend_cpu_set_n_threads", backend, threads)
    kinds = {"plain": ggml("ggml_backend_cpu_buffer_type")}
    for kind in ggml.repacking_buffers():
        name = ggml("ggml_backend_buft_name", POINTER(kind), result=ctypes.c_char_p).decode()
        if "REPACK" in name.upper():
            kinds[name] = kind
    print("weights,kind,m,from,us,GB/s,GOP/s")
    for format, (_, size, block) in FORMATS.items():
        length = SIZE * SIZE // block * size
        for name, kind in kinds.items():
            if name != "plain" and format not in REPACKED:
                continue
            for m in (1, 512):
                count = -(-CROWD // length) if m == 1 else 1
                product = Product(ggml, backend, kind, format, m, count)
                some = rounds if m == 1 else max(rounds // 15, 3)
                for source, which in (("memory", None), ("cache", 0))[m > 1:]:
                    best = min(product.run(which) for _ in range(some))
                    rate, ops = length / best / 1e3, 2e-3 * m * SIZE * SIZE / best
                    print(f"{format},{name},{m},{source},{best:.0f},{rate:.1f},{ops:.0f}", flush=True)
                ggml("ggml_backend_buffer_free", POINTER(product.buffer))


main()
