"""Answers questions about spatio-temporal data; every number it says can be traced."""

__version__ = "0.1.0"
