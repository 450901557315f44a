"""The Runner: the one loop."""
