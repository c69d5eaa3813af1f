"""From a committed delivery to the jobs that it makes."""
