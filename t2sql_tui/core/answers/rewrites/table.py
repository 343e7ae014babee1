"""All rewrites, in the order in which they are tried.

To add one: a file with one function `(candidate, context) -> Rewrite | None`, an entry here, and
a row in the table of what each is worth, measured by replay on held-out files (what it helps)
and on gold SQL (what it harms).
"""

from __future__ import annotations

from t2sql_tui.core.answers.rewrites.dates import rewrite_dates
from t2sql_tui.core.answers.rewrites.linked_joins import rewrite_unlinked_joins
from t2sql_tui.core.answers.rewrites.rows_once import rewrite_repeated_rows
from t2sql_tui.core.answers.rewrites.stored_values import rewrite_texts
from t2sql_tui.core.answers.rewrites.types import RewriteRule

REWRITES: tuple[RewriteRule, ...] = (
    RewriteRule("dates", "every candidate", rewrite_dates),
    RewriteRule("linked joins", "every candidate", rewrite_unlinked_joins),
    RewriteRule("stored values", "instead of the best", rewrite_texts, warning="empty"),
    RewriteRule("rows once", "beside the best", rewrite_repeated_rows, warning="fan-out"),
)
