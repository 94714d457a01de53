"""The biaxial network of Johnson (2015) and Deep Jammer, in four parts."""

from bench.architectures.biaxial.system import Biaxial

__all__ = ["Biaxial"]
