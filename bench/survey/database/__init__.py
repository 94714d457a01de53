"""Where a survey keeps its answers: tables, versions, backups."""
