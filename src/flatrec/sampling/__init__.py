"""Negative sampling: which items an interaction is compared with."""
