"""Vocabulary: scalar functions, one line of formula each. `ntkc.vocabulary` finds them."""
