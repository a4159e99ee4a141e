"""Expectations of functions of jointly Gaussian numbers. Knows nothing of networks."""
