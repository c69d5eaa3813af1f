"""Whether destinations keep what they took: storage commitment as its SCU (PS3.4 J.3)."""
