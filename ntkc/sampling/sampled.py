"""The sampled limit as users call it: kernels with a standard error, from independent replicates."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ntkc.backends.prelude.api import _unwrap
from ntkc.gaussian.slope import Discontinuous, slope
from ntkc.ir.network import InputNode, Network, NonlinearNode
from ntkc.ir.recursion import mask_name
from ntkc.sampling.admissible import check_batches
from ntkc.sampling.formulas import Formulas
from ntkc.sampling.inputs import Side, hyperparameters, numbers
from ntkc.sampling.run import Run
from ntkc.sampling.value import Array

REPLICATES = 8
KINDS = ("nngp", "ntk")


class Sampled(NamedTuple):
    """Kernels of shape (n1, n2) by Monte Carlo over `samples` slices, each entry with its standard error; None where not asked
    for, a dict by name where there are several outputs."""

    nngp: Any
    ntk: Any
    nngp_error: Any
    ntk_error: Any
    samples: int


def sampled(
    network: Network,
    sides: Sequence[Side],
    *,
    masked: bool = False,
    samples: int = 4096,
    seed: int = 0,
    get: str | tuple[str, ...] = KINDS,
    replicates: int = REPLICATES,
    **params: Any,
) -> Sampled:
    """NNGP and NTK between the samples of two sides, or of one with itself, with no closed form of any expectation.

    The error falls as samples^(-1/2); it is that of the mean over `replicates` independent runs of samples / replicates slices
    each. Runs of few slices are also biased, by an amount of the order of replicates / samples. Same seed, same numbers.
    """
    get = _kinds(network, get)
    if samples < 2 * replicates or replicates < 2:
        raise ValueError(f"samples = {samples}: at least two slices for each of {replicates} replicates are needed")
    formulas = Formulas(hyperparameters(network, params))
    batches = tuple(len(side.inputs[0]) for side in sides)
    check_batches(network, batches, "ntk" in get)
    if any(u.shape[1:] != v.shape[1:] for u, v in zip(sides[0].inputs, sides[-1].inputs, strict=True)):
        raise ValueError("x1 and x2 differ in the number of positions or features")
    inputs = numbers(network, [np.concatenate(each) for each in zip(*(side.inputs for side in sides), strict=True)])
    givens = {name: np.concatenate([np.asarray(side.givens[name], float) for side in sides]) for name in sides[0].givens}
    present = {
        n.name: givens[mask_name(n.name)] for n in network.nodes if masked and isinstance(n, InputNode) and n.type.maskable
    }
    per = samples // replicates
    with jax.enable_x64(True):
        sources = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(replicates))
        runs = [Run(network, inputs, givens, present, batches, per, source, formulas).kernels() for source in sources]
        found = _found(runs, (slice(batches[0]), slice(-batches[-1], None)), get, sides[0].dtype)
    return Sampled(**found, samples=per * replicates)


def _found(runs: list[Any], where: tuple[slice, slice], get: tuple[str, ...], dtype: Any) -> dict[str, Any]:
    """Means over the replicates, and their standard errors."""
    found: dict[str, Any] = {}
    for k, kind in enumerate(KINDS):
        each = {name: np.stack([run[name][k][where] for run in runs]) for name in runs[0]}
        found[kind], found[f"{kind}_error"] = _summary(each, dtype) if kind in get else (None, None)
    return found


def diagonal(kernels: Sampled) -> Sampled:
    """Those of each row with itself, (n,)."""
    found = kernels._asdict()
    samples = found.pop("samples")
    with jax.enable_x64(True):
        return Sampled(**jax.tree.map(jnp.diagonal, found), samples=samples)


def _summary(each: Mapping[str, Array], dtype: Any) -> tuple[Any, Any]:
    """(mean, its standard error) over the replicates, by output."""
    if not all(np.isfinite(values).all() for values in each.values()):
        raise ValueError("a sampled value is not finite: a function of the network grows too fast, or is not defined everywhere")
    mean = {name: jnp.asarray(v.mean(0).astype(dtype)) for name, v in each.items()}
    error = {name: jnp.asarray((v.std(0, ddof=1) / np.sqrt(len(v))).astype(dtype)) for name, v in each.items()}
    return _unwrap(mean), _unwrap(error)  # type: ignore[no-untyped-call]


def _kinds(network: Network, get: str | tuple[str, ...]) -> tuple[str, ...]:
    get = (get,) if isinstance(get, str) else tuple(get)
    if not get or set(get) - set(KINDS):
        raise ValueError(f"get is 'nngp', 'ntk' or both; got {get}")
    if "ntk" in get and (jump := _jump(network)):
        raise ValueError(f"this network has an NNGP but no NTK: {jump}; ask for get='nngp'")
    return get


def _jump(network: Network) -> str:
    """Which function has no derivative, or nothing."""
    for node in network.nodes:
        if isinstance(node, NonlinearNode):
            try:
                for symbol in node.symbols:
                    slope(node.function, symbol)
            except Discontinuous as error:
                return str(error)
    return ""
