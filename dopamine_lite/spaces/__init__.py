"""Spaces of observations, and their form in a network: packed, one-hot, pictures."""
