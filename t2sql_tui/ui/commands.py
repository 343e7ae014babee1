"""What actions and keys are called: on the key bar, and in the command palette."""

from __future__ import annotations

from textual.binding import Binding

_KEY_NAMES = {"enter": "Enter", "escape": "Esc", "slash": "/", "enter,space": "Enter"}

# What an action is called where there is room for more than the key bar has.
_TITLES = {
    "approve": "Run the SQL",
    "edit": "Edit the SQL",
    "readings": "Compare with the next reading of the question",
    "regenerate": "Ask the model for another SQL",
    "explain": "Explain the SQL",
    "cancel": "Stop",
    "check_and_run": "Check and run the edited SQL",
    "new_question": "New question (forget the conversation)",
    "export": "Export the rows",
    "help": "Help",
    "question": "Go to the question",
    "results": "Go to the rows",
    "schema": "Show or hide the schema",
    "history": "History of questions",
    "open": "Open another file",
    "reload": "Read the file again",
}


def key_name(binding: Binding) -> str:
    """The key as it is shown: ^e, F5, Esc."""
    key = binding.key
    if key.startswith("ctrl+"):
        return "^" + key.removeprefix("ctrl+")
    return _KEY_NAMES.get(key, key.upper() if key[:1] == "f" and key[1:].isdigit() else key)


def command_title(binding: Binding) -> str:
    """What the command palette calls the action."""
    return _TITLES.get(binding.action, binding.description)
