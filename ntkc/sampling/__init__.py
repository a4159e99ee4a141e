"""The infinite-width limit by Monte Carlo, for programs whose expectations have no closed form."""
