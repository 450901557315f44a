"""Spaces of observations, and what they look like to a network: packed, one-hot, pictures."""
