"""A Redis that is being written to is moved to a respbroker, and the application loses nothing."""
