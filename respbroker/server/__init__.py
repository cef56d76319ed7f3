"""The edge: sockets, ticks, disk syncs, signals. The only package that imports trio."""
