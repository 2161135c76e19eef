"""ST-VLM, its baselines, training, checkpoints, prediction and backtest."""
