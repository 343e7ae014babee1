"""The Textual app: screens, widgets, messages. Only `cli.py` imports it."""
