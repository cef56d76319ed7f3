"""Bytes to requests, replies to bytes. Sans-I/O."""
