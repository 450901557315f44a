"""Agents: the contract and the classes that implement it."""
