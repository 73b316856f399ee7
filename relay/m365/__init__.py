"""What we know about Microsoft 365: hosts, limits, reply texts. Rows with a source, no logic and no I/O."""
