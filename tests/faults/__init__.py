"""What the gateway must survive: each fault of a peer, a disk or a process, seen from outside."""
