"""Who is connected and what they wait for: the state around requests. Sans-I/O."""
