//! Examples of Kernelsmith: see the folders beside this one.
