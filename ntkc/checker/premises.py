"""The premises that a claim names, each found to hold in the network or not."""

import re

from ntkc.checker.statement import Statement

Key = tuple[str, int, int, str]


def discharged(premise: str, statement: Statement, key: Key) -> str:
    """Why a premise holds, or nothing."""
    _, p, q, _ = key
    if found := re.fullmatch(r"v(\d+) and v(\d+) use the same weights", premise):
        i, j = map(int, found.groups())
        mine = statement.nodes[i].get("weight")
        return f"both use {mine}" if mine is not None and mine == statement.nodes[j].get("weight") else ""
    if found := re.fullmatch(r"v(\d+) and v(\d+) share no weights", premise):
        i, j = map(int, found.groups())
        return "their weights are disjoint" if statement.independent(i, j) else ""
    nodes = [i for end in (p, q) for i in (statement.operands(end) if statement.kind(end) == "NonlinearNode" else [end])]
    match premise:
        case "its arguments are jointly Gaussian (F1)":
            return "each argument sums over channels with Gaussian weights" if all(statement.gaussian[i] for i in nodes) else ""
        case "gradient independence: the readout is fresh":
            ends = [node for _, node in _outputs(statement)]
            fresh = all(statement.kind(i) != "InputNode" for i in ends)
            return "no matrix is used with its transpose, and a fresh layer reads out" if fresh else ""
        case "normalization is one function of the values of a whole batch":
            return "the samples of a batch are positions" if all(statement.normalization(i) is not None for i in (p, q)) else ""
        case "its coefficients are fixed" | "the input is not trained" | "channels are exchangeable":
            return "by the statement of the network"
        case "its statistics are deterministic" | "logits are deterministic" | "the same between x and x'":
            return "means over infinitely many channels (law of large numbers)"
    return ""


def _outputs(statement: Statement) -> list[tuple[str, int]]:
    return [(output["name"], output["node"]) for output in statement.data["outputs"]]
