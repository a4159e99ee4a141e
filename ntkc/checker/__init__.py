"""Proves a certificate anew, from the network that it states: shares no code with the compiler and imports nothing of it."""
