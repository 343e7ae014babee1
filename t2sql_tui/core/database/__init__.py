"""One SQLite file, opened so that no statement can change it, or anything near it.

A query passes four locks, each of which holds alone (tests/core/database/test_attacks.py):

1. connection.py: a read-only connection (`mode=ro`), which keeps the file's own pages;
2. authorizer.py: it allows SELECT, READ, FUNCTION (from a list) and RECURSIVE, which keeps
   ATTACH, VACUUM INTO, PRAGMA, DDL and DML out before they run;
3. watch.py: a deadline, asked by SQLite's progress handler, and process.py: SQLite runs in a
   process that is killed where the deadline is not heeded;
4. limits.py: bounds on rows, bytes and the size of a single value.
"""
