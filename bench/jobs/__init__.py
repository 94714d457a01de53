"""The life of a job: planned, run in a process of its own, its results kept in a folder."""
