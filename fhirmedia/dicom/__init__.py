"""DICOM, pure: what files, headers and identifiers mean, without network and without storage.

This package is the only home of pydicom. `part10` reads the header of a file; whatever is received stays as it
arrived, so nothing here writes into it.
"""
