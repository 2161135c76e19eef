"""Panels: one spatio-temporal data set each, read only as of a moment."""
