"""Rewrites: what can be put right without asking the model again."""
