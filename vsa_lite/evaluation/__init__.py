"""How good is it: searching, written sentences, found things."""
