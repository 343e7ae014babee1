"""One self-contained HTML page about one run or several: no script, no font, no network."""
