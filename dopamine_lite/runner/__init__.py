"""The Runner: the training loop."""
