/* A CUDA driver with one device made of host memory, for tests without a GPU.
 *
 * It exports exactly the symbols the runtime says it calls, with the signatures of the CUDA Driver
 * API reference, and checks what it can: that a context is current, that launches pass each
 * parameter by a pointer, that tensor maps are what it wrote itself. FAKE_VERSION, FAKE_INIT and FAKE_COUNT make it answer as drivers do
 * that are too old, broken or without a device; -DWITHOUT_TMA leaves a symbol out. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, INVALID_PTX = 218 };

static __thread void *current;
static int context_tag;

#define NEED_CONTEXT                                                                               \
    if (current != &context_tag) return INVALID_CONTEXT

static int from_env(const char *name, int fallback) {
    const char *text = getenv(name);
    return text ? atoi(text) : fallback;
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

int cuDriverGetVersion(int *version) { *version = from_env("FAKE_VERSION", 12040); return SUCCESS; }
int cuInit(unsigned flags) { return flags ? INVALID_VALUE : from_env("FAKE_INIT", 0); }
int cuDeviceGetCount(int *count) { *count = from_env("FAKE_COUNT", 1); return SUCCESS; }

int cuGetErrorName(int error, const char **text) {
    switch (error) {
    case OUT_OF_MEMORY: *text = "CUDA_ERROR_OUT_OF_MEMORY"; return SUCCESS;
    case 100: *text = "CUDA_ERROR_NO_DEVICE"; return SUCCESS;
    case INVALID_CONTEXT: *text = "CUDA_ERROR_INVALID_CONTEXT"; return SUCCESS;
    case INVALID_PTX: *text = "CUDA_ERROR_INVALID_PTX"; return SUCCESS;
    default: return INVALID_VALUE;
    }
}
int cuGetErrorString(int error, const char **text) {
    *text = error == 100 ? "no CUDA-capable device is detected" : "as the fake driver says";
    return SUCCESS;
}

int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return SUCCESS; }
int cuDeviceGetName(char *name, int len, int device) {
    snprintf(name, len, "Fake H100 number %d", device);
    return SUCCESS;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = 1 << 30; return SUCCESS; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    switch (attribute) {
    case 1: *value = 1024; break;                     /* threads per block */
    case 2: case 3: *value = 1024; break;             /* block x, y */
    case 4: *value = 64; break;                       /* block z */
    case 5: *value = 2147483647; break;               /* grid x */
    case 6: case 7: *value = 65535; break;            /* grid y, z */
    case 10: *value = 32; break;                      /* warp size */
    case 16: *value = 132; break;                     /* multiprocessors */
    case 38: *value = 52428800; break;                /* second-level cache */
    case 75: *value = 9; break;                       /* compute capability, major */
    case 76: *value = 0; break;                       /* compute capability, minor */
    case 81: *value = 233472; break;                  /* shared memory of a multiprocessor */
    case 97: *value = 232448; break;                  /* shared memory with opt-in */
    case 115: *value = from_env("FAKE_POOLS", 1); break;
    case 120: *value = 1; break;                      /* clusters */
    default: return INVALID_VALUE;
    }
    return SUCCESS;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { (void)device; *context = &context_tag; return SUCCESS; }
int cuCtxSetCurrent(void *context) { current = context; return SUCCESS; }
int cuCtxGetDevice(int *device) { NEED_CONTEXT; *device = 0; return SUCCESS; }
int cuCtxSynchronize(void) { NEED_CONTEXT; return SUCCESS; }
int cuDeviceGetDefaultMemPool(void **pool, int device) { (void)device; *pool = &context_tag; return SUCCESS; }
int cuMemPoolSetAttribute(void *pool, int attribute, void *value) {
    return pool == &context_tag && attribute == 4 && *(uint64_t *)value == UINT64_MAX ? SUCCESS : INVALID_VALUE;
}

int cuStreamCreate(void **stream, unsigned flags) {
    NEED_CONTEXT;
    *stream = malloc(1);
    return flags == 1 ? SUCCESS : INVALID_VALUE;
}
int cuStreamDestroy_v2(void *stream) { NEED_CONTEXT; free(stream); return SUCCESS; }
int cuStreamSynchronize(void *stream) { NEED_CONTEXT; return stream ? SUCCESS : INVALID_VALUE; }
int cuStreamQuery(void *stream) { NEED_CONTEXT; return stream ? SUCCESS : INVALID_VALUE; }
int cuStreamWaitEvent(void *stream, void *event, unsigned flags) {
    NEED_CONTEXT;
    return stream && event && !flags ? SUCCESS : INVALID_VALUE;
}
int cuEventCreate(void **event, unsigned flags) {
    NEED_CONTEXT;
    *event = calloc(1, sizeof(double));
    return flags ? INVALID_VALUE : SUCCESS;
}
int cuEventDestroy_v2(void *event) { NEED_CONTEXT; free(event); return SUCCESS; }
int cuEventRecord(void *event, void *stream) {
    NEED_CONTEXT;
    *(double *)event = now_ms();
    return stream ? SUCCESS : INVALID_VALUE;
}
int cuEventSynchronize(void *event) { NEED_CONTEXT; return event ? SUCCESS : INVALID_VALUE; }
int cuEventQuery(void *event) { NEED_CONTEXT; return event ? SUCCESS : INVALID_VALUE; }
int cuEventElapsedTime(float *ms, void *start, void *end) {
    NEED_CONTEXT;
    *ms = *(double *)end - *(double *)start;
    return SUCCESS;
}

static int allocate(uint64_t *at, size_t bytes) {
    if (bytes == 0) return INVALID_VALUE;
    if (bytes > 1 << 30) return OUT_OF_MEMORY;
    *at = (uint64_t)aligned_alloc(256, (bytes + 255) / 256 * 256);
    memset((void *)*at, 0xcd, bytes);
    return SUCCESS;
}
int cuMemAlloc_v2(uint64_t *at, size_t bytes) { NEED_CONTEXT; return allocate(at, bytes); }
int cuMemAllocAsync(uint64_t *at, size_t bytes, void *stream) {
    NEED_CONTEXT;
    return stream ? allocate(at, bytes) : INVALID_VALUE;
}
int cuMemFree_v2(uint64_t at) { NEED_CONTEXT; free((void *)at); return SUCCESS; }
int cuMemFreeAsync(uint64_t at, void *stream) { NEED_CONTEXT; free((void *)at); return stream ? SUCCESS : INVALID_VALUE; }
int cuMemHostAlloc(void **at, size_t bytes, unsigned flags) {
    NEED_CONTEXT;
    *at = malloc(bytes);
    return flags ? INVALID_VALUE : SUCCESS;
}
int cuMemFreeHost(void *at) { NEED_CONTEXT; free(at); return SUCCESS; }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream) {
    NEED_CONTEXT;
    memcpy((void *)to, from, bytes);
    return stream ? SUCCESS : INVALID_VALUE;
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) {
    NEED_CONTEXT;
    memcpy(to, (void *)from, bytes);
    return stream ? SUCCESS : INVALID_VALUE;
}
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *stream) {
    NEED_CONTEXT;
    memcpy((void *)to, (void *)from, bytes);
    return stream ? SUCCESS : INVALID_VALUE;
}
int cuMemsetD8Async(uint64_t at, unsigned char value, size_t bytes, void *stream) {
    NEED_CONTEXT;
    memset((void *)at, value, bytes);
    return stream ? SUCCESS : INVALID_VALUE;
}

/* A module is its text, a function its name. */
int cuModuleLoadDataEx(void **module, const void *text, unsigned count, int *options, void **values) {
    NEED_CONTEXT;
    if (count != 3 || options[0] != 5 || options[1] != 6 || options[2] != 13) return INVALID_VALUE;
    if (strstr(text, ".version") && !getenv("FAKE_REFUSES")) {
        *module = strdup(text);
        return SUCCESS;
    }
    snprintf(values[0], (size_t)values[1], "ptxas application ptx input, line 7; fatal");
    return INVALID_PTX;
}
int cuModuleUnload(void *module) { NEED_CONTEXT; free(module); return SUCCESS; }
int cuModuleGetFunction(void **function, void *module, const char *name) {
    NEED_CONTEXT;
    if (!strstr(module, name)) return INVALID_VALUE;
    *function = strdup(name);
    return SUCCESS;
}
int cuFuncGetAttribute(int *value, int attribute, void *function) {
    NEED_CONTEXT;
    *value = 1024;
    return attribute == 1 && function ? SUCCESS : INVALID_VALUE;
}
int cuFuncSetAttribute(void *function, int attribute, int value) {
    NEED_CONTEXT;
    if (attribute == 8) return function && value == 232448 - 1024 ? SUCCESS : INVALID_VALUE;
    return attribute == 14 && value == 1 ? SUCCESS : INVALID_VALUE;
}

struct launch {
    unsigned grid[3], block[3], shared;
    void *stream;
    struct { int id; char pad[4]; union { unsigned dim[3]; int flag; char bytes[64]; } value; } *attributes;
    unsigned count;
};
/* The layout of the runtime's error record. */
struct record { uint32_t state, check; uint64_t values[4]; uint32_t block[3], thread[3]; };

/* What a tensor map is here: its number, and what it was made of. */
struct map {
    uint64_t tag, number, at, extents[5], strides[4];
    uint8_t type, rank, swizzle;
};
_Static_assert(sizeof(struct map) <= 128, "a tensor map has 128 bytes");
enum { MAP_TAG = 0x70616d };

/* Kernels called `fill` fill a slice of floats; those called `fail` fail their first check; those
 * called `maps` run in clusters and write, of each of the maps that are their first two parameters,
 * number and second extent to the slice of floats that follows. */
int cuLaunchKernelEx(const struct launch *launch, void *function, void **params, void **extra) {
    NEED_CONTEXT;
    if (!params || extra || !launch->stream) return INVALID_VALUE;
    for (unsigned i = 0; i < launch->count; i++) {
        if (launch->attributes[i].id == 4 && launch->attributes[i].value.dim[0] != 2) return INVALID_VALUE;
        if (launch->attributes[i].id == 6 && launch->attributes[i].value.flag != 1) return INVALID_VALUE;
    }
    if (!strcmp(function, "fill")) {
        float *x = *(float **)params[0], value = *(float *)params[2];
        for (uint64_t i = 0; i < *(uint64_t *)params[1]; i++) x[i] = value;
    } else if (!strcmp(function, "fail")) {
        struct record *record = *(struct record **)params[3];
        if (!record->state)
            *record = (struct record){1, 0, {7, 5}, {launch->grid[0] - 1, 0, 0}, {launch->block[0] - 1, 0, 0}};
    } else if (!strcmp(function, "maps")) {
        if (launch->count != 1 || launch->attributes[0].id != 4) return INVALID_VALUE;
        float *out = *(float **)params[2];
        for (int i = 0; i < 2; i++) {
            const struct map *map = params[i];
            if ((uintptr_t)map % 64 || map->tag != MAP_TAG) return INVALID_VALUE;
            out[2 * i] = map->number;
            out[2 * i + 1] = map->extents[1];
        }
    }
    return SUCCESS;
}

#ifndef WITHOUT_TMA
int cuTensorMapEncodeTiled(void *map, int type, uint32_t rank, void *at, const uint64_t *extents,
                           const uint64_t *strides, const uint32_t *box, const uint32_t *steps,
                           int interleave, int swizzle, int promotion, int fill) {
    static uint64_t number;
    if ((uintptr_t)map % 64 || (uintptr_t)at % 16) return INVALID_VALUE;
    /* bf16, 64 x 32 boxes of matrices of 256 columns, swizzled within 128 bytes. */
    int good = type == 9 && rank == 2 && extents[0] == 256 && strides[0] == 512 && box[0] == 64 &&
               box[1] == 32 && steps[0] == 1 && steps[1] == 1 && !interleave && swizzle == 3 &&
               promotion == 3 && !fill;
    struct map made = {MAP_TAG, number++, (uintptr_t)at, {extents[0], extents[1]}, {strides[0]}, type, rank, swizzle};
    memset(map, 0, 128);
    memcpy(map, &made, sizeof made);
    return good ? SUCCESS : INVALID_VALUE;
}
#endif
