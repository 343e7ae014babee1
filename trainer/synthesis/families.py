"""The families of questions. Each draws one draft, or none where a world lacks what it needs."""

from __future__ import annotations

from collections.abc import Callable

from trainer.synthesis import groups, joins, rows
from trainer.synthesis.writer import Draft, Writer

# Their order is part of what a seed means: each gets the next random number.
FAMILIES: dict[str, Callable[[Writer], Draft | None]] = {
    family.__name__: family
    for family in (
        rows.missing_count,
        rows.dated_count,
        rows.count_of_two,
        rows.listing,
        groups.per_period,
        groups.busiest_period,
        joins.without,
        joins.both,
        joins.but_not,
        groups.share,
        groups.share_per_group,
        groups.mean_per_group,
        rows.untidy_count,
        groups.untidy_groups,
        rows.top,
        groups.top_in_group,
        groups.running_total,
        groups.change,
        joins.at_least,
        joins.revenue,
        groups.buckets,
        rows.text,
        rows.whole_row,
        groups.side_by_side,
        rows.view,
        rows.fill_in,
        rows.days,
        rows.above_average,
        joins.last_time,
        joins.zero_included,
        joins.distinct_things,
        joins.across_tables,
        joins.owners,
        rows.newest,
        groups.by_two,
        groups.group_counts,
        groups.known_groups,
        groups.leaders,
        rows.either,
    )
}
