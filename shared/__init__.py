"""Ground floor: settings, the DICOM upper layer, the records and the storage tree.

Everything above may import from here; nothing here imports from `receiver`, `workers` or `deploy`.
"""
