"""The blind listening survey: made from a run's samples, taken in a browser, analysed here."""
