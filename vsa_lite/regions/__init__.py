"""Where things may be, what a CNN says of each place, and where that is stored."""
