"""The parts of `passes/lower.py`: who computes what, and in which variable it keeps its digits."""
