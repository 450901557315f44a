"""A run's reports: statistics, log files, TensorBoard, the console, provenance."""
