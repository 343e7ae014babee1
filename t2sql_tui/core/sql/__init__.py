"""SQL as text and as a tree."""
