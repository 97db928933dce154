"""Loading: checkpoints become models on a device, are tried and are warmed up."""
