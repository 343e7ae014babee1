"""The workbench, and the dialogs that open over it."""
