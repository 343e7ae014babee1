"""Measuring how good a model is at text-to-SQL: suites, metrics, runs and reports.

`benchmarks run spider-dev --model NAME` is the way in; `cli.py` lists the others.
May import `t2sql_tui.core` and `t2sql_tui.backends`; `trainer` may import this package.
"""
