"""From words to vectors: the vocabulary, word2vec, and the bidirectional network that reads a sentence."""
