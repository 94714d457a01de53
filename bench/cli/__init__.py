"""The command line: one module per group of verbs; each verb calls one function elsewhere."""
