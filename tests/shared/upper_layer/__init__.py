"""The upper layer, against the standard and against pynetdicom as an oracle."""
