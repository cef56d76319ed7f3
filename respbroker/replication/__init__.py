"""What replicas agree on: who has what, who led when, who may lead next. Pure values and machines, no I/O."""
