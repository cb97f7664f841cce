"""The labels that analysts gave: out to files and tools, in from them, and which documents to label next."""
