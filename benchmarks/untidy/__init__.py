"""SQLite files as people have them, with questions and gold SQL, made from a seed.

    forms.py                 how a date or a number is stored, and the SQL that reads it back
    files.py                 columns, tables and files: rows from a seed, written to SQLite
    questions.py             reads first/*.txt and second/*.txt, expands the gold SQL
    halves.py                the files and questions of a seed, and their data set
    prove.py                 shows that the gold is right: `python -m benchmarks.untidy.prove 1`
    tables_first.py, first/     the tables and the questions of odd seeds (suite `untidy`)
    tables_second.py, second/   those of even seeds (suite `untidy-unseen`)

The two halves share kinds of untidiness and nothing else: other domains, names, forms, values
and wordings. The second half is for measuring. Do not read it to decide what a rule should do.
"""
