"""Pictures for models: float32 tensors `(B, C, H, W)`, batched, with a mask channel; no matplotlib, no uint8."""
