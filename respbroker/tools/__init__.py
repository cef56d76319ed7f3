"""The operator's command line: what is asked of a running server, as any client asks it."""
