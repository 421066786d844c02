"""A service that says which version and slot it is."""
