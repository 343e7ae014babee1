"""The file: how it is opened, read and guarded."""
