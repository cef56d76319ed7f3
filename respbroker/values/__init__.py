"""Keys that hold a value instead of a stream: strings, hashes, sorted sets. In memory, made of records. Sans-I/O."""
