"""How the kernels are differentiated where the caller has not enabled 64-bit types."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero


@partial(jax.custom_vjp, nondiff_argnums=(0, 2))
def _differentiable(evaluate, arrays, static):
    """`evaluate(*arrays, *static)`."""
    return evaluate(*arrays, *static)


def _forward_pass(evaluate, arrays, static):
    values = jax.tree.map(lambda a: a.value, arrays)
    moving = tuple(a.perturbed for a in jax.tree.leaves(arrays))
    return evaluate(*values, *static), jax.tree_util.Partial(partial(_pull, evaluate, static, moving), values)


def _pull(evaluate, static, moving, values, cotangent):
    """Cotangents of the arrays that are differentiated by; None for the others."""
    leaves, tree = jax.tree.flatten(values)
    where = [i for i, moves in enumerate(moving) if moves]

    def run(*moved):
        every = list(leaves)
        for i, v in zip(where, moved, strict=True):
            every[i] = v
        return evaluate(*jax.tree.unflatten(tree, every), *static)

    found = jax.vjp(run, *(leaves[i] for i in where))[1](cotangent)
    every = [None] * len(leaves)
    for i, v in zip(where, found, strict=True):
        every[i] = v
    return jax.tree.unflatten(tree, every)


def _backward_pass(evaluate, static, pull, cotangent):
    with jax.enable_x64(True):  # the caller's scope has ended by the time JAX gets here
        full = jax.tree.map(lambda c: jnp.zeros(c.shape, c.dtype) if isinstance(c, SymbolicZero) else c, cotangent)
        return (pull(full),)


_differentiable.defvjp(_forward_pass, _backward_pass, symbolic_zeros=True)
