"""The finite network's weights."""

import jax


class _Weights:
    """Reads arrays by name, or makes them when it has a key."""

    def __init__(self, arrays, key=None, width=512):
        self.arrays, self.key, self.width = arrays, key, width

    def learn(self, name):
        """The default width, from the array of a layer that has it."""
        if self.key is None and name in self.arrays:
            self.width = self.arrays[name].shape[-1]

    def __call__(self, name, shape, scale=1.0):
        if self.key is not None and name not in self.arrays:
            self.key, own = jax.random.split(self.key)
            self.arrays[name] = scale * jax.random.normal(own, shape)
        return self.arrays[name]


def _affine(weights, name, h):
    """A gain that starts at 1 and a shift that starts at 0 for each channel."""
    width = h.shape[-1:]
    return h * (1 + weights(name + "/gain", width, 0.0)) + weights(name + "/shift", width, 0.0)
