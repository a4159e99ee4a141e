"""What emitted modules are made of besides their own recursion. Each module gets what it reaches, so these files import only
math and JAX; names that they lack (PARAMS, _pair) are the emitted module's own."""
