"""Flower, the dashboard: its process, its rows, its logins."""
