"""Ask a SQLite file a question in plain English; a local model writes the SQL.

This package imports nothing at the top: `t2sql-tui --help` has to answer at once.
"""

__version__ = "0.1.0"
