"""Files that nothing can damage or misuse: paths, plain files, strict JSON."""
