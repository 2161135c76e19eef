"""Runs the suites on inspect_ai: tasks, solver, scorer; then records, comparisons, reports, and the guard."""
