/* A HIP runtime with one device made of host memory, for tests without a GPU; see fake_cuda.c.
 * NAME_AT, ARCH_AT and so on are the offsets of hipDeviceProp_tR0600. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2 };

static __thread int current = -1;
#define NEED_DEVICE                                                                                \
    if (current != 0) return INVALID_VALUE

static int from_env(const char *name, int fallback) {
    const char *text = getenv(name);
    return text ? atoi(text) : fallback;
}
static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

int hipInit(unsigned flags) { return flags ? INVALID_VALUE : from_env("FAKE_INIT", 0); }
int hipRuntimeGetVersion(int *version) { *version = 60443482; return SUCCESS; }
int hipGetDeviceCount(int *count) { *count = from_env("FAKE_COUNT", 1); return SUCCESS; }
const char *hipGetErrorName(int error) { return error == 100 ? "hipErrorNoDevice" : "hipErrorFake"; }
const char *hipGetErrorString(int error) { (void)error; return "as the fake runtime says"; }
int hipSetDevice(int device) { current = device; return SUCCESS; }
int hipDeviceSynchronize(void) { NEED_DEVICE; return SUCCESS; }
int hipDeviceGetAttribute(int *value, int attribute, int device) {
    *value = from_env("FAKE_POOLS", 1);
    return attribute == 88 && device == 0 ? SUCCESS : INVALID_VALUE;
}
int hipGetDevicePropertiesR0600(char *p, int device) {
    const char *arch = getenv("FAKE_ARCH");
    snprintf(p + NAME_AT, 256, "Fake MI300X number %d", device);
    snprintf(p + ARCH_AT, 256, "%s", arch ? arch : "gfx942:sramecc+:xnack-");
    int block[3] = {1024, 1024, 1024}, grid[3] = {2147483647, 65536, 65536};
    memcpy(p + BLOCK_AT, block, sizeof block);
    memcpy(p + GRID_AT, grid, sizeof grid);
    *(int *)(p + THREADS_AT) = 1024;
    *(size_t *)(p + SHARED_AT) = 65536;
    *(int *)(p + WARP_AT) = 64;
    *(int *)(p + UNITS_AT) = 304;
    *(size_t *)(p + MEMORY_AT) = 1 << 30;
    return SUCCESS;
}

int hipStreamCreateWithFlags(void **stream, unsigned flags) {
    NEED_DEVICE;
    *stream = malloc(1);
    return flags == 1 ? SUCCESS : INVALID_VALUE;
}
int hipStreamDestroy(void *stream) { NEED_DEVICE; free(stream); return SUCCESS; }
int hipStreamSynchronize(void *stream) { NEED_DEVICE; return stream ? SUCCESS : INVALID_VALUE; }
int hipStreamQuery(void *stream) { NEED_DEVICE; return stream ? SUCCESS : INVALID_VALUE; }
int hipStreamWaitEvent(void *stream, void *event, unsigned flags) {
    NEED_DEVICE;
    return stream && event && !flags ? SUCCESS : INVALID_VALUE;
}
int hipEventCreateWithFlags(void **event, unsigned flags) {
    NEED_DEVICE;
    *event = calloc(1, sizeof(double));
    return flags ? INVALID_VALUE : SUCCESS;
}
int hipEventDestroy(void *event) { NEED_DEVICE; free(event); return SUCCESS; }
int hipEventRecord(void *event, void *stream) {
    NEED_DEVICE;
    *(double *)event = now_ms();
    return stream ? SUCCESS : INVALID_VALUE;
}
int hipEventSynchronize(void *event) { NEED_DEVICE; return event ? SUCCESS : INVALID_VALUE; }
int hipEventQuery(void *event) { NEED_DEVICE; return event ? SUCCESS : INVALID_VALUE; }
int hipEventElapsedTime(float *ms, void *start, void *end) {
    NEED_DEVICE;
    *ms = *(double *)end - *(double *)start;
    return SUCCESS;
}

static int allocate(void **at, size_t bytes) {
    if (bytes == 0) return INVALID_VALUE;
    if (bytes > 1 << 30) return OUT_OF_MEMORY;
    *at = aligned_alloc(256, (bytes + 255) / 256 * 256);
    memset(*at, 0xcd, bytes);
    return SUCCESS;
}
int hipMalloc(void **at, size_t bytes) { NEED_DEVICE; return allocate(at, bytes); }
int hipMallocAsync(void **at, size_t bytes, void *stream) {
    NEED_DEVICE;
    return stream ? allocate(at, bytes) : INVALID_VALUE;
}
int hipFree(void *at) { NEED_DEVICE; free(at); return SUCCESS; }
int hipFreeAsync(void *at, void *stream) { NEED_DEVICE; free(at); return stream ? SUCCESS : INVALID_VALUE; }
int hipHostMalloc(void **at, size_t bytes, unsigned flags) {
    NEED_DEVICE;
    *at = malloc(bytes);
    return flags ? INVALID_VALUE : SUCCESS;
}
int hipHostFree(void *at) { NEED_DEVICE; free(at); return SUCCESS; }
int hipMemcpyAsync(void *to, const void *from, size_t bytes, int kind, void *stream) {
    NEED_DEVICE;
    memcpy(to, from, bytes);
    return kind >= 1 && kind <= 3 && stream ? SUCCESS : INVALID_VALUE;
}
int hipMemsetAsync(void *at, int value, size_t bytes, void *stream) {
    NEED_DEVICE;
    memset(at, value, bytes);
    return stream ? SUCCESS : INVALID_VALUE;
}

int hipModuleLoadData(void **module, const void *image) {
    NEED_DEVICE;
    *module = malloc(1);
    return memcmp(image, "\x7f" "ELF", 4) ? INVALID_VALUE : SUCCESS;
}
int hipModuleUnload(void *module) { NEED_DEVICE; free(module); return SUCCESS; }
int hipModuleGetFunction(void **function, void *module, const char *name) {
    NEED_DEVICE;
    *function = strdup(name);
    return module ? SUCCESS : INVALID_VALUE;
}
/* The layout of the runtime's error record. */
struct record { uint32_t state, check; uint64_t values[4]; uint32_t block[3], thread[3]; };

/* Kernels called `fill` fill a slice of floats; those called `fail` fail their first check. */
int hipModuleLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                          unsigned bz, unsigned shared, void *stream, void **params, void **extra) {
    NEED_DEVICE;
    (void)shared;
    if (params || (uintptr_t)extra[0] != 1 || (uintptr_t)extra[2] != 2 || (uintptr_t)extra[4] != 3)
        return INVALID_VALUE;
    const char *block = extra[1];
    size_t bytes = *(size_t *)extra[3];
    if (!stream || bytes % 8 || !(gx * gy * gz * bx * by * bz)) return INVALID_VALUE;
    if (!strcmp(function, "fill")) {
        float *x = *(float **)block, value = *(float *)(block + 16);
        for (uint64_t i = 0; i < *(uint64_t *)(block + 8); i++) x[i] = value;
    } else if (!strcmp(function, "fail")) {
        struct record *record = *(struct record **)(block + bytes - 8);
        if (!record->state)
            *record = (struct record){1, 0, {7, 5}, {gx - 1, gy - 1, gz - 1}, {bx - 1, by - 1, bz - 1}};
    }
    return SUCCESS;
}
