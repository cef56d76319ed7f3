"""One node as a machine: what happened goes in, effects come out."""
