"""What a series does, in numbers: periods, trend, changes, anomalies, relations. They stand beside every picture."""
