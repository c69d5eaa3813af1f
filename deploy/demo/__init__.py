"""`penstock demo`: a real study goes through a whole gateway, on loopback, and is compared."""
