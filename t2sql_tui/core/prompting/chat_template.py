"""The chat format of a model that describes it itself: the Jinja template in its header.

A template is a program by a stranger. It is rendered in a child process with limits on time and
memory, in Jinja's immutable sandbox, with texts of ours in place of the conversation; what stands
around them is the format. Nothing of it runs when a question is asked.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any, NoReturn

from t2sql_tui.core.prompting.chat import CHAT_FORMATS, ChatFormat

SECONDS = 10.0
MEMORY = 1 << 30
#: Longest template that is read; the longest known (with tools) have 20,000 characters.
MAX_CHARACTERS = 200_000
# What stands for the texts: letters only, so that no template trims, escapes or splits them.
_SYSTEM, _USER, _ANSWER = "xsystemtextx", "xusertextx", "xanswertextx"
_END = re.compile(r"\s*(<[^<>\s]+>|\[/?[A-Z_]+\])")  # a marker that closes a turn
#: A model that thinks first would spend its tokens on that: its thought is closed at once.
_THINK = re.compile(r"<think>\s*\Z")


class TemplateError(ValueError):
    """A template cannot be used; the text says why."""


@functools.cache
def format_of_template(
    template: str, bos: str = "", eos: str = "", add_bos: bool = False
) -> ChatFormat:
    """The chat format that a template renders.

    `bos` and `eos` are the texts of the tokens that begin and end a conversation; with `add_bos`,
    `bos` is put first where the template leaves it out. A format that is known keeps its name,
    another is called by a hash of what it writes. Raises: TemplateError.
    """
    if len(template) > MAX_CHARACTERS:
        raise TemplateError(f"it has {len(template):,} characters")
    prompt, whole = _render_in_child(template, bos, eos)
    before, middle, after = _parts(prompt)
    if _THINK.search(after):
        after = after.rstrip() + "\n\n</think>\n\n"
    closing = _END.match(whole.partition(_ANSWER)[2])
    end = closing[1] if closing else eos
    if not end:
        raise TemplateError("nothing ends an answer")
    form = ChatFormat("", f"{_braces(before)}{{system}}{_braces(middle)}", after, end)
    digest = sha256(json.dumps([form.before, form.after, form.end]).encode()).hexdigest()
    form = next(
        (known for known in CHAT_FORMATS.values() if replace(known, name="") == form),
        replace(form, name=f"template-{digest[:8]}"),
    )
    return with_bos(form, bos) if add_bos else form


def with_bos(form: ChatFormat, bos: str) -> ChatFormat:
    """`form` with the text of the BOS token first, unless it begins with that already."""
    first = _braces(bos)
    if form.before.startswith(first):
        return form
    return replace(form, name=f"{form.name}+bos", before=first + form.before)


def _parts(prompt: str) -> tuple[str, str, str]:
    """What stands before the system text, between it and the person's text, and after that.

    Raises: TemplateError.
    """
    if prompt.count(_USER) != 1 or prompt.count(_SYSTEM) != 1:
        raise TemplateError("it does not write each text once")
    head, _, after = prompt.partition(_USER)
    before, found, middle = head.partition(_SYSTEM)
    if not found:
        raise TemplateError("it writes the instructions after the question")
    return before, middle, after


def _braces(text: str) -> str:
    """`text` for str.format."""
    return text.replace("{", "{{").replace("}", "}}")


def _render_in_child(template: str, bos: str, eos: str) -> tuple[str, str]:
    """The prompt, and the conversation with its answer. Raises: TemplateError."""
    request = json.dumps({"template": template, "bos": bos, "eos": eos})
    try:
        ended = subprocess.run(
            [sys.executable, "-m", __name__],
            input=request.encode(),
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TemplateError(f"it does not end within {SECONDS:.0f} s") from error
    try:
        answer: dict[str, str] = json.loads(ended.stdout)
        if "error" in answer:
            raise TemplateError(answer["error"])
        return answer["prompt"], answer["whole"]
    except (json.JSONDecodeError, KeyError) as error:
        raise TemplateError(f"it ends the process that renders it ({ended.returncode})") from error


# --- in the child -----------------------------------------------------------------------


def _render(template: str, bos: str, eos: str) -> dict[str, str]:
    """`prompt` and `whole` as above. Raises: what Jinja and the template raise."""
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # 50 ms

    class Refused(Exception):
        """The template refuses the conversation."""

    def refuse(message: str = "") -> NoReturn:
        raise Refused(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    # As transformers: its own tag marks what is trained on, and writes nothing.
    source = re.sub(r"\{%-?\s*(end)?generation\s*-?%\}", "", template)
    compiled = environment.from_string(source)
    fixed = "26 Jul 2024"  # Llama's default: a date of today would change the prefix every day

    def render(messages: list[dict[str, str]], prompt: bool, **more: Any) -> str:
        return compiled.render(
            messages=messages,
            add_generation_prompt=prompt,
            bos_token=bos,
            eos_token=eos,
            raise_exception=refuse,
            enable_thinking=False,
            **more,
        )

    def both(messages: list[dict[str, str]], **more: Any) -> dict[str, str]:
        answered = [*messages, {"role": "assistant", "content": _ANSWER}]
        rendered = {"prompt": render(messages, True, **more), "whole": ""}
        with suppress(Refused, jinja2.TemplateError):
            rendered["whole"] = render(answered, False, **more)
        _parts(rendered["prompt"])
        return rendered

    separate = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _USER}]
    joined = [{"role": "user", "content": f"{_SYSTEM}\n\n{_USER}"}]
    dates: dict[str, Callable[[str], str]] = {"strftime_now": lambda _: fixed}
    failures: list[Exception] = []
    for messages in (separate, joined):  # Gemma and others know no system turn
        for more in ({}, dates):
            try:
                return both(messages, **more)
            except (Refused, jinja2.TemplateError, TemplateError, TypeError) as error:
                failures.append(error)
    raise failures[-1]


def _main() -> None:
    with suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    request = json.load(sys.stdin)
    try:
        answer = _render(**request)
    except Exception as error:  # whatever a stranger's program raises
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        answer = {"error": reason}
    print(json.dumps(answer))


if __name__ == "__main__":
    _main()
