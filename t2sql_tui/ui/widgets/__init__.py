"""The panes of the workbench, cut the way the screen is."""
