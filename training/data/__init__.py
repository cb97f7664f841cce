"""Labelled texts: reading them, and what is done with them before a model sees any."""
