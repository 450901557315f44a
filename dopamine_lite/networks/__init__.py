"""Networks and their optimizers."""
