"""Exports into a table of a SQLite or PostgreSQL database; readers see all old rows or all new ones."""

from flatrec.inference.export.database.tables import TableExport, delete_users, export_table

__all__ = ["TableExport", "delete_users", "export_table"]
