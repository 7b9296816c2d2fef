"""Bytes to values and back: messages, record batches, compression. No I/O, no clock."""
