"""Self-checks for readers: plain functions that try your code on random input, and give a hint where it differs."""
