"""One page for a referee: what was compiled, what was derived from it, and how far each claim is to be trusted."""
