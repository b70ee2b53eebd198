"""Pictures and sentences: one record type for every source, and the batches that models are fed with."""
