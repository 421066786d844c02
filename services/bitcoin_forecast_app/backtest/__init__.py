"""Prequential evaluation of the code that runs live, over recordings."""
