"""Vocabulary: one layer per file. `ntkc.vocabulary` finds them; nothing else in the compiler knows their names."""
