"""From run directories to numbers and pictures."""
