"""The dashboard's charts, and the figures that can be downloaded."""
