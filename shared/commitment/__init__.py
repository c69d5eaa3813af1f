"""What a destination says that it keeps (storage commitment, PS3.4 J), as it stands on disk."""
