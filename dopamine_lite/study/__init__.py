"""Studies: many runs to compare, on this machine, on Ray or under Slurm."""
