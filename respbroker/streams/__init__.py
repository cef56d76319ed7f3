"""What Redis says about streams, over a log. Sans-I/O."""
