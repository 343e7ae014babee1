"""`python -m t2sql_tui`."""

from t2sql_tui.cli import main

main()
