"""The DICOM upper layer (PS3.8) and the DIMSE messages on it (PS3.7): bytes in, events out.

No socket, clock, thread, file or log lives here; what drives an `Acceptor` or a `Requestor` brings
them. Imports nothing but the standard library.
"""
