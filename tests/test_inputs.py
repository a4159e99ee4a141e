"""Graphs and tokens: what may come with a call, and what is refused."""

import jax
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

from ntkc import Compilation, compile_source
from ntkc.source import Source


def _compile(text: str) -> Compilation:
    return compile_source(Source("net.arch", "arch net {\n" + text + "\n}\n"))


@pytest.fixture(scope="module")
def graph() -> Compilation:
    return _compile("input x: graph(4, 3) with A\noutput x |> aggregate(A) |> dense |> relu |> global_avg_pool |> dense")


@pytest.fixture(scope="module")
def tokens() -> Compilation:
    return _compile("input t: tokens(5, 7)\noutput t |> embedding |> conv(3) |> relu |> global_avg_pool |> dense")


SOURCE = np.random.default_rng(0)
X, Y = (SOURCE.normal(size=(n, 4, 3)).astype("float32") for n in (3, 2))
A, B = (SOURCE.integers(2, size=(n, 4, 4)).astype("float32") for n in (3, 2))


def test_one_adjacency_for_all_is_that_one_for_each(graph: Compilation) -> None:
    np.testing.assert_array_equal(graph.ntk(X, A=A[0]), graph.ntk(X, A=np.stack([A[0]] * 3)))
    np.testing.assert_array_equal(graph.ntk(X, Y, A=A[0]), graph.ntk(X, Y, A=(A[0], np.stack([A[0]] * 2))))


def test_sparse_adjacency(graph: Compilation) -> None:
    np.testing.assert_array_equal(graph.ntk(X, A=BCOO.fromdense(A[0])), graph.ntk(X, A=A[0]))


def test_kernel_does_not_depend_on_the_order_of_the_nodes(graph: Compilation) -> None:
    order = np.array([2, 0, 3, 1])
    moved = graph.ntk(X[:, order], A=A[:, order][:, :, order])
    np.testing.assert_allclose(moved, graph.ntk(X, A=A), rtol=1e-6)


def test_pairs_of_adjacencies(graph: Compilation) -> None:
    whole = graph.ntk(np.concatenate([X, Y]), A=np.concatenate([A, B]))
    np.testing.assert_allclose(whole[:3, 3:], graph.ntk(X, Y, A=(A, B)), rtol=1e-6)
    np.testing.assert_allclose(np.diag(whole)[:3], graph.diagonal(X, A=A).ntk, rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, TypeError, r"this network needs A, the adjacency of its graphs: A=array of shape \(4, 4\)"),
        ({"A": A[:, :3]}, ValueError, r"A: expected an array of shape \(4, 4\), one for all"),
        ({"A": A * np.nan}, ValueError, "A: contains NaN or infinite entries"),
        ({"A": A, "B": A}, TypeError, "no hyperparameter is named 'B'"),
    ],
)
def test_bad_adjacency(graph: Compilation, given: dict[str, np.ndarray], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        graph.kernel(X, **given)


def test_two_batches_of_graphs_need_two_sets_of_adjacencies(graph: Compilation) -> None:
    with pytest.raises(ValueError, match=r"with x1 and x2, give A=\(of x1, of x2\), or one matrix for all"):
        graph.kernel(X, X, A=A)


def test_tokens_take_the_type_that_the_caller_works_in(tokens: Compilation) -> None:
    t = SOURCE.integers(7, size=(3, 5))
    assert tokens.ntk(t).dtype == np.float32
    with jax.enable_x64(True):
        assert tokens.ntk(t).dtype == np.float64
    assert tokens.ntk(t)[0, 1] == tokens.ntk(t[:1], t[1:2])[0, 0]


@pytest.mark.parametrize(
    ("t", "error", "message"),
    [
        (np.zeros((2, 5)), TypeError, "expected integers, the tokens, got float"),
        (np.full((2, 5), 7), ValueError, "tokens must be at least 0 and below 7, got 7"),
        (np.full((2, 5), -1), ValueError, "tokens must be at least 0 and below 7, got -1"),
        (np.zeros((2, 4), int), ValueError, r"expected an array of shape \(n, 5\), got \(2, 4\)"),
    ],
)
def test_bad_tokens(tokens: Compilation, t: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tokens.kernel(t)
