"""The command table as data, and one short function per command."""
