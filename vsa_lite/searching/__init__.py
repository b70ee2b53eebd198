"""Searching many pictures by a sentence: few candidates by one vector a picture, then the exact score of those."""
