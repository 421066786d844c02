"""Forecasts the mid price of each symbol as a distribution, writes it down, and scores it."""
