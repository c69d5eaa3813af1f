"""Reading and judging `penstock.toml`."""
