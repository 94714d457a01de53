"""One catalogue per paper: its systems, settings, published figures and decisions."""
