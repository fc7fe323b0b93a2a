//! Devices, buffers, streams, launches and caches of Kernelsmith.
