"""The finite network's weights."""

from typing import Any

import jax
import jax.numpy as jnp


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
        if name not in self.arrays:
            raise ValueError(f"the weights have no array {name!r}; make them by init of this module")
        return self.arrays[name]

    def scaled(self, name, shape, std, standard):
        """N(0, std^2): in the draw under the standard parameterization, as a factor under the ntk one."""
        return self(name, shape, std if standard else 1.0) * (1.0 if standard else std)


def _on_each_axis(value: Any, h: Any) -> Any:
    """One number for every spatial axis of h."""
    return (value,) * (h.ndim - 2) if isinstance(value, int) else value


def _channels_last(h: Any) -> Any:
    """Dimension numbers of a convolution over the spatial axes of h."""
    letters = "xyz"[: h.ndim - 2]
    return (f"N{letters}C", f"{letters}IO", f"N{letters}C")


def _wrapped(h: Any, window: Any, stride: Any, dilation: Any) -> Any:
    """h with the positions around its edges that a circular window reads."""
    reach = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    total = [max((-(-n // s) - 1) * s + r - n, 0) for n, s, r in zip(h.shape[1:-1], stride, reach, strict=True)]
    return jnp.pad(h, ((0, 0), *((t // 2, t - t // 2) for t in total), (0, 0)), "wrap")


def _affine(weights, name, h):
    """A gain that starts at 1 and a shift that starts at 0 for each channel."""
    width = h.shape[-1:]
    return h * (1 + weights(name + "/gain", width, 0.0)) + weights(name + "/shift", width, 0.0)
