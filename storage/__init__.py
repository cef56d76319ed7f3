"""A segmented log as a library: the public names."""
