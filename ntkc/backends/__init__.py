"""Vocabulary: Program -> source text, or values. One backend per file."""
