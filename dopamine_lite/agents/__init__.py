"""Agents: the contract and those that implement it."""
