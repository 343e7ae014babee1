"""Lock 2: what a statement may do, as SQLite asks before it compiles one."""

from __future__ import annotations

import sqlite3

# Every SQL function of SQLite that only computes. Left out on purpose: load_extension,
# fts3_tokenizer (a pointer), optimize (writes an FTS index), sqlite_log, and whatever a
# future build adds before someone has looked at it.
FUNCTIONS = frozenset(
    """
    abs changes char coalesce concat concat_ws format glob hex if ifnull iif instr
    last_insert_rowid length like likelihood likely lower ltrim max min nullif octet_length
    printf quote random randomblob replace round rtrim sign soundex substr substring subtype
    sqlite_compileoption_get sqlite_compileoption_used sqlite_offset sqlite_source_id
    sqlite_version total_changes trim typeof unhex unicode unistr unistr_quote unlikely upper
    zeroblob date time datetime julianday unixepoch strftime timediff current_date current_time
    current_timestamp avg count group_concat string_agg sum total median percentile
    percentile_cont percentile_disc row_number rank dense_rank percent_rank cume_dist ntile lag
    lead first_value last_value nth_value acos acosh asin asinh atan atan2 atanh ceil ceiling
    cos cosh degrees exp floor ln log log10 log2 mod pi pow power radians sin sinh sqrt tan tanh
    trunc json jsonb json_array jsonb_array json_array_insert jsonb_array_insert
    json_array_length json_error_position json_extract jsonb_extract -> ->> json_insert
    jsonb_insert json_object jsonb_object json_patch jsonb_patch json_pretty json_remove
    jsonb_remove json_replace jsonb_replace json_set jsonb_set json_type json_valid json_quote
    json_group_array jsonb_group_array json_group_object jsonb_group_object match bm25 highlight
    snippet offsets matchinfo fts5_source_id fts5_get_locale rtreedepth rtreenode geopoly_area
    geopoly_bbox geopoly_blob geopoly_ccw geopoly_contains_point geopoly_json geopoly_overlap
    geopoly_regular geopoly_svg geopoly_within geopoly_xform
    """.split()
)

# Pragmas that only describe. Their table-valued forms (`FROM pragma_table_info('t')`) ask
# for these; FTS5 asks for data_version whenever it is read.
PRAGMAS = frozenset(
    """
    collation_list compile_options data_version foreign_key_list function_list index_info
    index_list index_xinfo module_list pragma_list table_info table_list table_xinfo
    """.split()
)

# Table-valued functions that only read. `json_each('[1]')` is a virtual table to SQLite.
TABLE_FUNCTIONS = ("json_each", "json_tree", "dbstat", *(f"pragma_{name}" for name in PRAGMAS))

_PLAIN_ACTIONS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})


def is_allowed(action: int, first: str | None, second: str | None) -> bool:
    """Lock 2 as a plain function of what SQLite's authorizer is told.

    Source: https://sqlite.org/c3ref/c_alter_table.html (action codes and arguments).
    """
    if action in _PLAIN_ACTIONS:
        return True
    if action == sqlite3.SQLITE_FUNCTION:
        return (second or "").lower() in FUNCTIONS
    if action == sqlite3.SQLITE_PRAGMA:
        return (first or "").lower() in PRAGMAS
    return False
