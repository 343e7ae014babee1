"""Adapter and base weights -> one GGUF file, on the user's own machine and without torch."""
