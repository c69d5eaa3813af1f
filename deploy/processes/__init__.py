"""Several processes run as one: started in stages, watched, ended in order."""
