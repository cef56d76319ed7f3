"""Streams moved between real servers."""
