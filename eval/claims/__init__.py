"""Sentences with known truth, and the tool replies that they are judged by."""
