"""Forecasts of many nodes at once, written as partitioned Parquet."""
