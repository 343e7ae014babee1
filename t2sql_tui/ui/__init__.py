"""The Textual app: `session.py` is what it shows, screens and widgets how."""
