"""The SQL lexer: whoever reads SQL as text reads it as these tokens.

It knows of SQLite's lexical grammar (https://sqlite.org/lang_keywords.html, lang_comment.html
and SQLite's tokenize.c) what decides where a string, a comment and a statement end. A quote or
comment that is left open goes on to the end, so the beginning of a SQL can be read as well.
"""

from __future__ import annotations

import re

#: (kind, text). A plain tuple: schema-constrained decoding reads all of an answer again at
#: every sampled token, and a named tuple takes four times as long to make.
Token = tuple[str, str]

# In order of frequency in SQL, where the grammar leaves a choice.
_TOKEN = re.compile(
    r"""(?P<space>[\s\ufeff]+)
      | (?P<word>(?![xX]')[^\W\d][\w$]*)
      | (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
      | (?P<string>[xX]?'[^']*(?:''[^']*)*(?:'|\Z))
      | (?P<quoted>"[^"]*(?:""[^"]*)*(?:"|\Z)|`[^`]*(?:``[^`]*)*(?:`|\Z)|\[[^\]]*(?:\]|\Z))
      | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<operator><>|<=|>=|==|!=|\|\||<<|>>|->>?|.)""",
    re.VERBOSE | re.DOTALL,
)
#: Kinds of tokens that mean nothing to SQLite.
IGNORED = ("space", "comment")


def tokenize(sql: str) -> list[Token]:
    """The tokens of a text, white space and comments included: joined, they are the text.

    "string" is a text in single quotes or a blob (x'00'), "quoted" a name in double quotes,
    backticks or brackets, "operator" any other character or pair of them.
    """
    return [(match.lastgroup or "", match.group()) for match in _TOKEN.finditer(sql)]


def split_statements(sql: str) -> list[str]:
    """The statements of a script, each without the comments and semicolons around it."""
    statements: list[str] = []
    start = end = -1
    offset = 0
    for kind, text in tokenize(sql):
        if text == ";":
            if start >= 0:
                statements.append(sql[start:end])
            start = -1
        elif kind not in IGNORED:
            start = offset if start < 0 else start
            end = offset + len(text)
        offset += len(text)
    if start >= 0:
        statements.append(sql[start:end])
    return statements


def before_semicolon(sql: str) -> str:
    """`sql` up to its first semicolon, comments included; all of it where there is none."""
    offset = 0
    for _, text in tokenize(sql):
        if text == ";":
            break
        offset += len(text)
    return sql[:offset]


def normalized_spelling(sql: str) -> str:
    """`sql` without differences in white space, comments and the case of words.

    SQL of equal spellings gives the same rows. What is in quotes stays as it is, and so do
    letters beyond ASCII, in which SQLite tells the cases apart.
    """
    pieces: list[str] = []
    for kind, text in tokenize(sql):
        if kind in IGNORED:
            if pieces and pieces[-1] != " ":
                pieces.append(" ")
        elif kind == "word" and text.isascii():
            pieces.append(text.lower())
        else:
            pieces.append(text)
    return "".join(pieces).strip()
