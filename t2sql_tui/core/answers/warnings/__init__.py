"""Warnings: what suggests that a SQL is wrong, each a sentence with its evidence."""
