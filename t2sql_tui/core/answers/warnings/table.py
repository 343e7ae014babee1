"""All warnings, in the order in which they are found and told.

To add one: a function `(execution, context) -> str` that gives the sentence with its evidence,
an entry here, and a row in the table of what each is worth (benchmarks/results/EXPERIMENTS.md),
measured on gold SQL (harm) and on recorded answers. Each is also a feature of the confidence
("warning NAME"), which counts once the confidence is fitted anew.
"""

from __future__ import annotations

from t2sql_tui.core.answers.context import AnswerContext
from t2sql_tui.core.answers.execution import Execution
from t2sql_tui.core.answers.warnings import (
    asked,
    conditions,
    linked_tables,
    names,
    rows,
    stored_forms,
)
from t2sql_tui.core.answers.warnings.types import WarningRule


def find_warnings(execution: Execution, context: AnswerContext) -> dict[str, str]:
    """The sentences of the warnings that apply to a candidate that was run, by name."""
    return {
        rule.name: sentence
        for rule in WARNINGS.values()
        if (sentence := rule.find(execution, context))
    }


#: The costs were chosen on suites of role `choose`.
WARNINGS: dict[str, WarningRule] = {
    rule.name: rule
    for rule in (
        WarningRule("error", 100.0, rows.fails),
        WarningRule("timeout", 4.0, rows.times_out),
        WarningRule("empty", 3.0, rows.is_empty),
        WarningRule("all-null", 2.0, rows.is_all_null),
        WarningRule("cross-product", 2.0, linked_tables.cross_product),
        WarningRule("unused-join", 1.5, linked_tables.unused_join),
        WarningRule("unlinked-join", 1.5, linked_tables.unlinked_join),
        WarningRule("fan-out", 1.0, linked_tables.fan_out),
        WarningRule("outer-column", 1.0, names.outer_column),
        WarningRule("text-numbers", 0.0, stored_forms.text_numbers),
        WarningRule("added-up-keys", 1.0, stored_forms.added_up_keys),
        WarningRule("unread-dates", 1.0, stored_forms.unread_dates),
        WarningRule("text-as-key", 1.0, conditions.text_as_key),
        WarningRule("unmet-condition", 1.0, conditions.unmet_condition),
        WarningRule("zero-count", 0.5, conditions.zero_count),
        WarningRule("missing-form", 1.0, conditions.missing_form),
        WarningRule("nulls-first", 0.5, conditions.nulls_first),
        WarningRule("unnamed-id", 1.0, conditions.unnamed_id),
        WarningRule("other-spellings", 0.5, conditions.other_spellings),
        WarningRule("key-shown", 1.0, names.key_shown),
        WarningRule("unused-value", 1.0, asked.unused_value),
        WarningRule("relative-time", 0.5, asked.relative_time),
        WarningRule("tie-at-cut", 0.0, asked.tie_at_cut),
        WarningRule("integer-division", 1.0, asked.integer_division),
        WarningRule("no-share", 1.0, asked.no_share),
        WarningRule("mean-for-median", 1.0, asked.mean_for_median),
        WarningRule("other-unit", 0.5, asked.other_unit),
        WarningRule("dropped-filter", 0.5, asked.dropped_filter),
    )
}
