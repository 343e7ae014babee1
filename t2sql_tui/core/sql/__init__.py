"""SQL as text and as a tree.

lexer.py reads it as tokens, tree.py parses it with sqlglot; extract.py finds it in a model's
answer, check.py has SQLite prepare it and problems.py says what is wrong with it; constraint.py,
with prefix.py, refuses a beginning of it that no continuation can make right.
"""
