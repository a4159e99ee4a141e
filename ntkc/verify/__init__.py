"""Why to trust a compilation: certificates re-checked, emitted code compared with the reference."""
