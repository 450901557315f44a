"""What a run tells of itself: statistics, log files, TensorBoard, the console, provenance."""
