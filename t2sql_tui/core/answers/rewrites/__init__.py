"""Rewrites: SQL changed where that is sure, without asking the model again."""
