"""Questions that Spider hardly asks, generated over its training schemas, proved by execution.

Spider's questions nearly never use dates, NULLs, percentages, windows or untidy text, which
people ask about in their own files. So each of its training databases is copied, and the copy
gets what real files have: a table of events (bookings, claims, ...) of the things in one of its
tables, event lines, and dates, contacts and flags on the things themselves. Formats, names and
their style are drawn anew for every copy, so a model must find the answer in the schema and its
samples.

A question is kept only if its SQL runs, gives meaningful rows, and gives other rows without any
one of its conditions. Equal seeds give equal bytes.

    generate.py     read_synthetic: the generated data set
    scenario.py     what the questions of one copy are about
    databases.py    the copies, and the tables that suit
    builder.py      the tables and columns that are added
    vocabulary.py   the words
    dates.py        how dates are stored, and the SQL that reads them
    writer.py       the parts of questions and their SQL
    rows.py         families of questions about the rows of one table,
    groups.py       about groups and totals,
    joins.py        and about several tables
    families.py     all families, in the order in which they are drawn
    proof.py        which drafts are kept
"""
