"""Chat formats from the templates that GGUF files carry: the turns of fourteen families."""

from __future__ import annotations

import pytest

from t2sql_tui.core.prompting import chat_template
from t2sql_tui.core.prompting.chat import CHAT_FORMATS
from t2sql_tui.core.prompting.chat_template import TemplateError, format_of_template

CHATML = (
    "{%- for m in messages -%}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}"
)
GENERATE = "{%%- if add_generation_prompt -%%}{{ '%s' }}{%%- endif -%%}"


def turns(turn: str, last: str, before: str = "") -> str:
    """A template: `turn` for each message, then `last` where the model is to go on."""
    loop = f"{{%- for message in messages -%}}{turn}{{%- endfor -%}}"
    return before + loop + GENERATE % last


NO_SYSTEM = (
    "{%- if messages[0]['role'] == 'system' -%}{{ raise_exception('System role not supported') }}"
    "{%- endif -%}"
)
NAMES = "{{ '<|' + message['role'] + '|>\\n' + message['content'] + '%s' }}"
INST = (  # as Mistral's: the system text is written into the last turn of the person
    "{%- if messages[0]['role'] == 'system' -%}{%- set system = messages[0]['content'] -%}"
    "{%- set rest = messages[1:] -%}{%- else -%}{%- set rest = messages -%}{%- endif -%}"
    "{{ bos_token }}{%- for message in rest -%}{%- if message['role'] == 'user' -%}"
    "{%- if loop.last or rest|length == 2 and system is defined -%}"
    "{{ '[INST] ' + system + '\\n\\n' + message['content'] + '[/INST]' }}{%- else -%}"
    "{{ '[INST] ' + message['content'] + '[/INST]' }}{%- endif -%}{%- else -%}"
    "{{ ' ' + message['content'] + eos_token }}{%- endif -%}{%- endfor -%}"
)
LLAMA3 = turns(
    "{%- set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'"
    " + message['content'] | trim + '<|eot_id|>' -%}"
    "{%- if loop.index0 == 0 -%}{%- set content = bos_token + content -%}{%- endif -%}"
    "{{ content }}",
    "<|start_header_id|>assistant<|end_header_id|>\\n\\n",
)
DATED = turns(
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}"
    "{%- if message['role'] == 'system' -%}{{ 'Today: ' + strftime_now('%d %b %Y') + '\\n' }}"
    "{%- endif -%}{{ message['content'] + '<|eot_id|>' }}",
    "<|start_header_id|>assistant<|end_header_id|>\\n\\n",
    "{{ bos_token }}",
)

# family: template, BOS, EOS, whether the header asks for a BOS, and the whole prompt of
# system "S" and question "Q", what ends an answer
FAMILIES = {
    "llama 3": (
        LLAMA3,
        "<|begin_of_text|>",
        "<|eot_id|>",
        True,
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nQ<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|eot_id|>",
    ),
    "llama 3.2, dated": (
        DATED,
        "<|begin_of_text|>",
        "<|eot_id|>",
        True,
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nToday: 26 Jul 2024\nS"
        "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nQ<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|eot_id|>",
    ),
    "llama 2": (
        "{{ bos_token + '[INST] <<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n' +"
        " messages[1].content + ' [/INST]' }}{% if messages|length == 3 %}"
        "{{ ' ' + messages[2].content + ' ' + eos_token }}{% endif %}",
        "<s>",
        "</s>",
        True,
        "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nQ [/INST]",
        "</s>",
    ),
    "deepseek r1": (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}"
        "{% elif m.role == 'user' %}{{ '<｜User｜>' + m.content }}{% else %}"
        "{{ '<｜Assistant｜>' + m.content + '<｜end▁of▁sentence｜>' }}{% endif %}{% endfor %}"
        + GENERATE
        % "<｜Assistant｜><think>\\n",
        "<｜begin▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        True,
        "<｜begin▁of▁sentence｜>S<｜User｜>Q<｜Assistant｜><think>\n\n</think>\n\n",
        "<｜end▁of▁sentence｜>",
    ),
    "deepseek coder": (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content + '\\n' }}"
        "{% elif m.role == 'user' %}{{ '### Instruction:\\n' + m.content + '\\n' }}{% else %}"
        "{{ '### Response:\\n' + m.content + '\\n<|EOT|>\\n' }}{% endif %}{% endfor %}"
        "{{ '### Response:' }}",
        "<｜begin▁of▁sentence｜>",
        "<|EOT|>",
        True,
        "<｜begin▁of▁sentence｜>S\n### Instruction:\nQ\n### Response:",
        "<|EOT|>",
    ),
    "phi 4": (
        turns(
            "{{ '<|im_start|>' + message['role'] + '<|im_sep|>' + message['content'] +"
            " '<|im_end|>' }}",
            "<|im_start|>assistant<|im_sep|>",
        ),
        "<|endoftext|>",
        "<|im_end|>",
        False,
        "<|im_start|>system<|im_sep|>S<|im_end|><|im_start|>user<|im_sep|>Q<|im_end|>"
        "<|im_start|>assistant<|im_sep|>",
        "<|im_end|>",
    ),
    "phi 3": (
        turns(NAMES % "<|end|>\\n", "<|assistant|>\\n"),
        "<s>",
        "<|endoftext|>",
        False,
        "<|system|>\nS<|end|>\n<|user|>\nQ<|end|>\n<|assistant|>\n",
        "<|end|>",
    ),
    "granite": (
        turns(
            "{{ '<|start_of_role|>' + message['role'] + '<|end_of_role|>' + message['content'] +"
            " '<|end_of_text|>\\n' }}",
            "<|start_of_role|>assistant<|end_of_role|>",
        ),
        "<|end_of_text|>",
        "<|end_of_text|>",
        False,
        "<|start_of_role|>system<|end_of_role|>S<|end_of_text|>\n"
        "<|start_of_role|>user<|end_of_role|>Q<|end_of_text|>\n"
        "<|start_of_role|>assistant<|end_of_role|>",
        "<|end_of_text|>",
    ),
    "qwen 2.5": (
        CHATML + "{%- endif -%}",
        "",
        "<|im_end|>",
        False,
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n",
        "<|im_end|>",
    ),
    "qwen 3": (
        CHATML + "{%- if enable_thinking is defined and enable_thinking is false -%}"
        "{{ '<think>\\n\\n</think>\\n\\n' }}{%- endif -%}{%- endif -%}",
        "",
        "<|im_end|>",
        False,
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n"
        "<think>\n\n</think>\n\n",
        "<|im_end|>",
    ),
    "yi, chatml with a BOS": (
        CHATML + "{%- endif -%}",
        "<|startoftext|>",
        "<|im_end|>",
        True,
        "<|startoftext|><|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n"
        "<|im_start|>assistant\n",
        "<|im_end|>",
    ),
    "gemma": (
        "{{ bos_token }}"
        + NO_SYSTEM
        + turns(
            "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else "
            "message['role']) + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}",
            "<start_of_turn>model\\n",
        ),
        "<bos>",
        "<end_of_turn>",
        True,
        "<bos><start_of_turn>user\nS\n\nQ<end_of_turn>\n<start_of_turn>model\n",
        "<end_of_turn>",
    ),
    "mistral": (INST, "<s>", "</s>", True, "<s>[INST] S\n\nQ[/INST]", "</s>"),
    "command r": (
        "{{ bos_token }}"
        + turns(
            "{{ '<|START_OF_TURN_TOKEN|><|' + (message['role'] | upper) + '_TOKEN|>' +"
            " message['content'] + '<|END_OF_TURN_TOKEN|>' }}",
            "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        ),
        "<BOS_TOKEN>",
        "<|END_OF_TURN_TOKEN|>",
        True,
        "<BOS_TOKEN><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>S<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Q<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        "<|END_OF_TURN_TOKEN|>",
    ),
    "vicuna, plain words": (
        "{{ bos_token }}{{ messages[0].content + ' ' }}{{ 'USER: ' + messages[1].content }}"
        "{{ ' ASSISTANT:' }}{% if messages|length == 3 %}{{ ' ' + messages[2].content + '</s>' }}"
        "{% endif %}",
        "<s>",
        "</s>",
        True,
        "<s>S USER: Q ASSISTANT:",
        "</s>",
    ),
}


@pytest.mark.parametrize("case", FAMILIES.values(), ids=FAMILIES.keys())
def test_each_family_gets_its_own_turns_and_bos(case):
    template, bos, eos, add_bos, prompt, end = case
    form = format_of_template(template, bos, eos, add_bos)
    assert "".join(form.render("S", "Q", "")) == prompt
    assert form.end == end


def test_a_known_format_keeps_its_name():
    chatml = format_of_template(CHATML + "{%- endif -%}", "", "<|im_end|>")
    assert chatml == CHAT_FORMATS["chatml"]
    assert format_of_template(FAMILIES["phi 3"][0], "<s>", "</s>") == CHAT_FORMATS["phi3"]
    assert format_of_template(FAMILIES["gemma"][0], "<bos>", "", True) == CHAT_FORMATS["gemma"]
    other = format_of_template(LLAMA3, "<|begin_of_text|>", "", True)
    assert other.name.startswith("template-") and other.name not in CHAT_FORMATS


def test_braces_in_a_template_are_text():
    form = format_of_template(
        "{{ '{x} {system} ' + messages[0].content + messages[1].content }}{{ '}{' }}", "", "</s>"
    )
    assert "".join(form.render("S", "Q", "")) == "{x} {system} SQ}{"


HOSTILE = {
    "endless": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "memory": "{{ 'x' * 9999999999 }}",
    "growing": "{% set ns = namespace(s='x') %}{% for a in range(60) %}"
    "{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
    "classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "format": "{{ '{0.__class__}'.format(messages) }}",
    "import": "{% import 'os' as os %}{{ os }}",
    "globals": "{{ raise_exception.__globals__ }}",
    "changes": "{{ messages.append(1) }}",
    "syntax": "{% if %}",
    "refuses": "{{ raise_exception('no\\nway') }}",
    "writes nothing": "",
    "writes twice": "{{ messages[0].content }}{{ messages[0].content }}{{ messages[1].content }}",
    "turned round": "{{ messages[1].content }}{{ messages[0].content }}",
    "wrong types": "{{ messages + 1 }}",
    "deep": "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "long": "x" * 300_000,
}


@pytest.mark.parametrize("template", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_template_that_cannot_be_used_says_why(template, monkeypatch):
    monkeypatch.setattr(chat_template, "SECONDS", 5.0)
    with pytest.raises(TemplateError, match=r"\w"):
        format_of_template(template, "<s>", "</s>")
