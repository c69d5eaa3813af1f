"""What Redis holds: the job records, and the gate that says who may run what now.

Only these modules know a key's name. Losing all of it loses history, never a study.
"""
