"""What an update changes."""

VERSION = 1
