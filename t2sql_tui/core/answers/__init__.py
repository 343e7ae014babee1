"""The way out: candidates are run, rewritten, ranked and described."""
