"""Chat formats: a system text, a user text and an answer, as the one string a model saw
in training.

The app, the trainer and the benchmarks all tokenize exactly this string and add no
special token of their own. Text that comes from outside (a question, a table name, a
stored value) is neutralised first, so that nothing typed or stored can close a turn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """`before` opens the conversation and holds `{system}`; `after` ends the person's turn
    and opens the model's; `end` closes the model's answer (it is trained on, and stops
    decoding)."""

    name: str
    before: str
    after: str
    end: str

    def render(self, system: str, prefix: str, suffix: str) -> tuple[str, str]:
        """The two halves of the final string. `system`, `prefix` and `suffix` must have been
        through `neutralise` wherever they hold text from outside."""
        return self.before.format(system=system) + prefix, suffix + self.after


CHAT_FORMATS: dict[str, ChatFormat] = {
    form.name: form
    for form in (
        ChatFormat(  # Qwen, SmolLM2
            name="chatml",
            before="<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n",
            after="<|im_end|>\n<|im_start|>assistant\n",
            end="<|im_end|>",
        ),
        ChatFormat(
            name="phi3",
            before="<|system|>\n{system}<|end|>\n<|user|>\n",
            after="<|end|>\n<|assistant|>\n",
            end="<|end|>",
        ),
        ChatFormat(  # Gemma knows no system turn: its text leads the person's
            name="gemma",
            before="<bos><start_of_turn>user\n{system}\n\n",
            after="<end_of_turn>\n<start_of_turn>model\n",
            end="<end_of_turn>",
        ),
        ChatFormat(name="mistral", before="<s>[INST] {system}\n\n", after=" [/INST]", end="</s>"),
    )
}

#: Formats that the templates of GGUF files describe, by name; see chat_template.py.
_from_templates: dict[str, ChatFormat] = {}


def find_format(name: str) -> ChatFormat | None:
    """The chat format of that name: one of `CHAT_FORMATS`, or one added in this process."""
    return CHAT_FORMATS.get(name) or _from_templates.get(name)


def add_format(form: ChatFormat) -> str:
    """Makes the format of a file known in this process; returns its name, which says what it
    writes, so that adding it again changes nothing."""
    if form.name not in CHAT_FORMATS:
        _from_templates[form.name] = form
    return form.name


# Whatever some tokenizer may read as a control token: <|...|>, <tag>, </tag>, [TAG].
# One space after the bracket is enough to make plain text of it.
_MARKER = re.compile(r"<(?=[|｜]|/?\w+>)|\[(?=/?[A-Z_]+\])")


def neutralise(text: str) -> str:
    """`text` with every control-token look-alike broken by a space, and without NULs."""
    return _MARKER.sub(
        lambda match: match.group() + " ", text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    )
