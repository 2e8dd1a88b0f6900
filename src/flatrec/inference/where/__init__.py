"""Conditions on columns, one grammar for Python, the command line and HTTP."""

from flatrec.inference.where.selection import columns_of, select

__all__ = ["columns_of", "select"]
