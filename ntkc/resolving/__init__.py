"""The parts of `passes/resolve.py`: names, expressions, layers, and the network under construction."""
