"""Speaks the protocols of three exchanges over a seeded price process or a recording."""
