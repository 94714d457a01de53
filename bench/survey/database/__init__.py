"""The database of the surveys: tables, versions, backups."""
