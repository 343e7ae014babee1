"""What every front end shares, from a question to its rows: see ask.py."""
