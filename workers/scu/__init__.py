"""The service class user: associations as requestor, blocking and synchronous."""
