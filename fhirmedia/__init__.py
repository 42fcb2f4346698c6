"""fhirmedia: one FHIR R4 archive for everything clinical that is not a number.

ARCHITECTURE.md beside this file tells how the house is built and why.
"""

__version__ = "0.1.0"
