"""The protocols of the three venues, each in a module of its own."""
