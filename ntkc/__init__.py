"""ntkc: a compiler from network descriptions to proven, jitted infinite-width kernels."""
