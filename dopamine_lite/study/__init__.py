"""Studies: many runs of what is to be compared, carried out here, on Ray or under Slurm."""
