"""Learning: the losses of GRPO and DPO, and the loop that fits a model to batches."""
