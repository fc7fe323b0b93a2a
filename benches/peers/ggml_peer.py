"""ggml as a peer of the benchmarks: reads cases from standard input, a line each, and answers with seconds.

    ggml_peer.py LIBRARIES THREADS
    prepare Q4_K 512      kind of weights of 4096 x 4096, rows of activations
    run 0.02              the best of the calls that twice so many seconds have time for

Both the plain form of weights and the one that ggml repacks for the processor are timed, and the faster
counts. For one row calls take one matrix after the other out of more than the caches hold. `prepare` answers
"ready" or "error <why>".
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

    def run(self):
        self.at = (self.at + 1) % len(self.graphs)
        start = time.perf_counter()
        self.ggml("ggml_backend_graph_compute", self.backend, self.graphs[self.at])
        return time.perf_counter() - start

    def best_of(self, seconds):
        best, end = float("inf"), time.perf_counter() + seconds
        while best == float("inf") or time.perf_counter() < end:
            best = min(best, self.run())
        return best

    def free(self):
        self.ggml("ggml_backend_buffer_free", POINTER(self.buffer))


def kinds(ggml):
    """The forms of weights by name."""
    found = {"plain": ggml("ggml_backend_cpu_buffer_type")}
    for kind in ggml.repacking_buffers():
        name = ggml("ggml_backend_buft_name", POINTER(kind), result=ctypes.c_char_p).decode()
        if "REPACK" in name.upper():
            found[name] = kind
    return found


def main():
    ggml = Ggml(sys.argv[1])
    backend = POINTER(ggml("ggml_backend_cpu_init"))
    ggml("ggml_backend_cpu_set_n_threads", backend, int(sys.argv[2]))
    products = []
    for line in sys.stdin:
        command, *words = line.split()
        try:
            if command == "prepare":
                for product in products:
                    product.free()
                format, m = words[0], int(words[1])
                _, size, block = FORMATS[format]
                count = -(-CROWD // (SIZE * SIZE // block * size)) if m == 1 else 1
                products = [
                    Product(ggml, backend, kind, format, m, count)
                    for name, kind in kinds(ggml).items()
                    if name == "plain" or format in REPACKED
                ]
                answer = "ready"
            else:
                best = min(product.best_of(float(words[0])) for product in products)
                answer = f"{best:.9f}"
        except Exception as error:
            answer = f"error {error!r}"
        print(answer, flush=True)


main()
