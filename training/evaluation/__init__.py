"""Evaluation: how good a bundle is, where it is weak, and whether it is worse than another one.

Everything is measured on what the running service would say: the bundle is loaded and run by the same code, and
probabilities are rounded as there before anything is decided on them.
"""
