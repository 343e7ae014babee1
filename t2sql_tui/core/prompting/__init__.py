"""The way in: what the model is shown."""
