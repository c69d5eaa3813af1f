"""Helpers that tests share: raw peers, running receivers, samples, waiting."""
