"""Sentences from pictures and from regions: the multimodal RNN, its decoding, and what the alignment teaches it."""
