"""The SCP process: sockets, associations, admission, incoming folders.

May import from `shared` only: no worker code, no pixel code, and it parses no data set.
"""
