"""The emitted code read back and proven equal to the recursion."""
