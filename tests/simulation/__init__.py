"""Whole systems on virtual time, from a seed: what happens is drawn, what must hold is checked at every step."""
