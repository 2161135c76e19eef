"""Replays of an answer from its run manifest: the same calls once more, or the same question at past moments."""
