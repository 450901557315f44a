"""Environments: the contract and the ways to make them."""
