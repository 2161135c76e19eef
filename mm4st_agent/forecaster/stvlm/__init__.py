"""ST-VLM: vision, text and time-series tokens of a network, fused in the first layer of a transformer."""
