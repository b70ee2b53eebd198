"""Regions and words in one space: the two scores, the losses, the model, the chain."""
