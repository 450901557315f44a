"""Where a run's numbers go: the log files, TensorBoard, the console."""
