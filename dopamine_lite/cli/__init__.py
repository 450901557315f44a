"""The command line: one module for each command, with `SUMMARY`, `define_flags` and `run`."""
