"""Recommendations of all users, similar items and vectors, as files and tables for other programs."""

from flatrec.inference.export.lists import export_recommendations, export_similar
from flatrec.inference.export.options import ExportOptions, Format, format_named
from flatrec.inference.export.report import ExportReport
from flatrec.inference.export.targets import DatabaseTable
from flatrec.inference.export.vectors import export_vectors
from flatrec.utils.shards import Shard

__all__ = [
    "DatabaseTable",
    "ExportOptions",
    "ExportReport",
    "Format",
    "Shard",
    "export_recommendations",
    "export_similar",
    "export_vectors",
    "format_named",
]
