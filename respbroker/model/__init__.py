"""Frozen values everyone may hold."""
