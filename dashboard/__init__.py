"""The web pages. Reads the record through `monitor.store.queries`; never loads a model library."""
