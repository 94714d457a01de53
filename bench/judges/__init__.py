"""Judges: frozen networks that say how likely a continuation is, given its prompt.

They are of several families, so that none has to judge its own (`bench.judges.families`), and
trained on the training pieces of a data set alone (`bench.judges.store`).
"""
