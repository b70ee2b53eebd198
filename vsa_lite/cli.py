"""The command `vsa-lite`."""
