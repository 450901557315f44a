"""Networks and their optimisers."""
