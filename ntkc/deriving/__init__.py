"""The parts of `passes/derive.py`: structural independence, and the rules for S, T and m."""
