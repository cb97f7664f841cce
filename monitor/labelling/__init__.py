"""Labelling: what several analysts' labels amount to, and which documents are worth a label next."""
